"""Writes public data sets in the layouts in which they are distributed, small, one function for each."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.cifti2.cifti2_axes import BrainModelAxis, ParcelsAxis, SeriesAxis
from PIL import Image

from tests.trainers.data import scans
from tests.trainers.data.test_table import write_workbook

PEOPLE = 24
SHAPE = (6, 7, 5)
RNG = np.random.default_rng(0)


def table(path: Path, header: str, rows: Sequence[Sequence[object]], comma: str = ",") -> None:
    """A text table; cells that hold the separator are quoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header, *(comma.join(f'"{c}"' if comma in str(c) else str(c) for c in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def nifti(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scans.write_nifti(path, RNG.integers(1, 900, SHAPE).astype(np.int16))


def picture(path: Path, shape: tuple[int, ...] = (26, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, shape, dtype=np.uint8)).save(path)


def age(number: int) -> float:
    return 20 + 1.5 * number


def ixi(folder: Path) -> None:
    """One person has two rows that say the same, one has two that differ, one no age, one no scan."""
    import xlwt

    sites = ("Guys", "HH", "IOP")
    rows: list[list[object]] = [[2 + n, 1 + n % 2, 170.0, 60.0, age(n)] for n in range(PEOPLE)]
    rows += [rows[3], [*rows[5][:-1], 99.5], [500, 1, 0, 0, 0], [501, 2, 170.0, 60.0, 44.0]]
    book = xlwt.Workbook()
    sheet = book.add_sheet("Table")
    header: list[object] = ["IXI_ID", "SEX_ID (1=m, 2=f)", "HEIGHT", "WEIGHT", "AGE"]
    for line, row in enumerate([header, *rows]):
        for column, cell in enumerate(row):
            sheet.write(line, column, cell)
    book.save(str(folder / "IXI.xls"))
    for n in range(PEOPLE):
        nifti(folder / f"IXI-T1/IXI{2 + n:03d}-{sites[n % 3]}-{800 + n:04d}-T1.nii.gz")
    nifti(folder / "IXI-T1/IXI500-Guys-1017-T1.nii.gz")


def oasis_1(folder: Path) -> None:
    rows: list[list[object]] = []
    for n in range(PEOPLE + 3):
        name = f"OAS1_{1 + n % PEOPLE:04d}_MR{1 + n // PEOPLE}"
        rows.append([name, "FM"[n % 2], "R", age(n % PEOPLE), "N/A" if n < PEOPLE else 40])
        made = folder / f"disc{1 + n % 3}" / name / "PROCESSED/MPRAGE/T88_111"
        made.mkdir(parents=True)
        values = RNG.integers(1, 900, SHAPE).astype(np.int16)
        nib.save(nib.AnalyzeImage(values, np.eye(4)), made / f"{name}_mpr_n{3 + n % 2}_anon_111_t88_masked_gfc.img")
    table(folder / "oasis_cross-sectional.csv", "ID,M/F,Hand,Age,Delay", rows)


def oasis_3(folder: Path) -> None:
    rows = []
    for n in range(PEOPLE):
        person, day = f"OAS3{n // 2:04d}", f"d{129 + 700 * (n % 2):04d}"
        rows.append([f"{person}_MR_{day}", person, age(n), "3.0T"])
        nifti(folder / f"{person}_MR_{day}/anat{2 + n % 2}/sub-{person}_ses-{day}_T1w.nii.gz")
        nifti(folder / f"{person}_MR_{day}/func1/sub-{person}_ses-{day}_task-rest_bold.nii.gz")
    table(folder / "OASIS3_MR_sessions.csv", "MR ID,Subject,Age,Scanner", rows)


def adni(folder: Path) -> None:
    rows = []
    for n in range(PEOPLE):
        person, image = f"{2 + n // 2 % 5:03d}_S_{n // 2:04d}", f"I{45100 + n}"
        description = "MPR; GradWarp; B1 Correction, N3, Scaled"
        kind = "PET" if n == 7 else "MRI"
        rows.append([image, person, "CN", "FM"[n % 2], int(age(n)), "m12", kind, description, "4/18/2006"])
        when = f"2006-04-18_08_20_{n:02d}.0"
        nifti(
            folder / f"ADNI/{person}/MPR__GradWarp__B1_Correction__N3__Scaled/{when}/{image}/ADNI_{person}_{image}.nii"
        )
    header = "Image Data ID,Subject,Group,Sex,Age,Visit,Modality,Description,Acq Date"
    table(folder / "collection.csv", header, rows)


def a4(folder: Path) -> None:
    rows, people = [], []
    for n in range(PEOPLE):
        person = f"B{10000000 + n}"
        people.append([person, 1 + n % 2])
        rows += [
            [person, region, 1 + 0.02 * n + shift] for shift, region in [(0, "Composite_Summary"), (0.3, "Precuneus")]
        ]
        nifti(folder / f"A4/{person}/AV45_Coreg,_Avg/2015-01-01_00_00_{n:02d}.0/I{n}/A4_{person}.nii")
    table(folder / "A4_PETSUVR_PRV2.csv", "BID,brain_region,suvr_cer", rows)
    table(folder / "A4_PTDEMOG_PRV2.csv", "BID,PTGENDER", people)


def openbhb(folder: Path) -> None:
    rows = []
    for n in range(PEOPLE):
        person, split = 100000000000 + n, ["train", "train", "internal_test", "external_test"][n % 4]
        rows.append([person, age(n), n % 3, split])
        made = folder / ("train" if split == "train" else "val") / f"derivatives/sub-{person}/ses-1"
        made.mkdir(parents=True)
        np.save(made / f"sub-{person}_preproc-cat12vbm_desc-gm_T1w.npy", RNG.random((1, 1, *SHAPE), dtype=np.float32))
    table(folder / "participants.tsv", "participant_id\tage\tsite\tsplit", rows, "\t")


def rsna(folder: Path) -> None:
    """Films in grey and in colour, of any size; the tables of the other two sets name their columns otherwise."""
    for n in range(PEOPLE):
        picture(folder / f"boneage-training-dataset/{1377 + n}.png", (30 + n, 24) if n % 4 else (30, 24, 4))
    rows = [[1377 + n, 10 + 8 * n, bool(n % 2)] for n in range(PEOPLE)]
    table(folder / "boneage-training-dataset.csv", "id,boneage,male", rows)
    for n in range(6):
        picture(folder / f"boneage-validation-dataset-{1 + n // 3}/{1386 + n}.png", (28, 24))
        picture(folder / f"Test Set Images/{4360 + n}.png", (32, 24))
    rows = [[1386 + n, bool(n % 2), 30 + 8 * n] for n in range(6)]
    table(folder / "Validation Dataset.csv", "Image ID,male,Bone Age (months)", rows)
    truth: list[list[str | float | None]] = [["Case ID", "Sex", "Ground truth bone age (months)"]]
    truth += [[4360 + n, "MF"[n % 2], 168.9 - 20 * n] for n in range(6)]
    write_workbook(folder / "Bone age ground truth.xlsx", [truth])


def rhpe(folder: Path) -> None:
    for n in range(PEOPLE):
        picture(folder / f"RHPE_train/{1 + n:05d}.png")
    table(folder / "RHPE_Boneage_train.csv", "ID,Male,Boneage", [[1 + n, n % 2, 10 + 8 * n] for n in range(PEOPLE)])


def echonet(folder: Path) -> None:
    (folder / "Videos").mkdir()
    rows = []
    for n in range(PEOPLE):
        rows.append([f"0X{n:016X}", 30 + n, 30, ["TRAIN", "TRAIN", "VAL", "TEST"][n % 4]])
        scans.write_video(folder / f"Videos/0X{n:016X}.avi", RNG.integers(0, 255, (10 + n % 3, 16, 16), dtype=np.uint8))
    table(folder / "FileList.csv", "FileName,EF,FPS,Split", rows)


def hcp(folder: Path) -> None:
    vertices = BrainModelAxis.from_mask(np.ones(12), name="cortex_left")
    regions = ParcelsAxis.from_brain_models([(f"region {n}", vertices[2 * n : 2 * n + 2]) for n in range(6)])
    for n in range(PEOPLE):
        made = folder / f"{100206 + n}/MNINonLinear/Results/rfMRI_REST1_LR"
        made.mkdir(parents=True)
        image = nib.Cifti2Image(RNG.random((40, 6), dtype=np.float32), (SeriesAxis(0, 0.72, 40), regions))
        nib.save(image, made / "rfMRI_REST1_LR.ptseries.nii")
    open_rows = [[100206 + n, "MF"[n % 2], ["22-25", "26-30", "31-35", "36+"][n % 4]] for n in range(PEOPLE)]
    table(folder / "unrestricted.csv", "Subject,Gender,Age", open_rows)
    closed = [[100206 + n, 22 + n % 15, f"5{n // 3:05d}_8{n // 3:05d}"] for n in range(PEOPLE)]
    table(folder / "RESTRICTED.csv", "Subject,Age_in_Yrs,Family_ID", closed)


def abide(folder: Path) -> None:
    """One person without a file, one without an age."""
    rows = []
    for n in range(PEOPLE):
        file = "no_filename" if n == 4 else f"Pitt_{50003 + n:07d}"
        rows.append([("PITT", "NYU")[n % 2], 50003 + n, file, -9999 if n == 6 else age(n)])
        if n != 4:
            made = folder / f"Outputs/cpac/filt_global/rois_cc200/{file}_rois_cc200.1D"
            made.parent.mkdir(parents=True, exist_ok=True)
            lines = [
                "\t".join(f"#{roi}" for roi in range(1, 6)),
                *("\t".join(f"{v:.6f}" for v in RNG.random(5)) for _ in range(60 + n)),
            ]
            made.write_text("\n".join(lines) + "\n")
    table(folder / "Phenotypic_V1_0b_preprocessed1.csv", "SITE_ID,SUB_ID,FILE_ID,AGE_AT_SCAN", rows)


def uk_biobank(folder: Path) -> None:
    (folder / "bulk").mkdir()
    for n in range(PEOPLE):
        nifti(folder / "t1.nii.gz")
        with zipfile.ZipFile(folder / f"bulk/{1000011 + n}_20252_2_0.zip", "w") as archive:
            for name in ("T1_brain_to_MNI", "T1_unbiased_brain"):
                archive.write(folder / "t1.nii.gz", f"T1/{name}.nii.gz")
    (folder / "t1.nii.gz").unlink()
    table(folder / "ukb.csv", "eid,31-0.0,21003-2.0", [[1000011 + n, n % 2, 45 + n] for n in range(PEOPLE)])


def uk_biobank_flair(folder: Path) -> None:
    """One person has no FLAIR."""
    uk_biobank(folder)
    for n in range(1, PEOPLE):
        nifti(folder / "flair.nii.gz")
        with zipfile.ZipFile(folder / f"bulk/{1000011 + n}_20253_2_0.zip", "w") as archive:
            archive.write(folder / "flair.nii.gz", "T2_FLAIR/T2_FLAIR_brain_to_MNI.nii.gz")
    (folder / "flair.nii.gz").unlink()


def _raw(folder: Path) -> Path:
    """A raw data set of two sessions each, whose ages its sessions' tables have."""
    rows = [[f"sub-{n:02d}", age(n), "FM"[n % 2]] for n in range(1, 13)]
    table(folder / "participants.tsv", "participant_id\tage\tsex", rows, "\t")
    for n in range(1, 13):
        visits = [["ses-01", age(n)], ["ses-02", age(n) + 2]]
        table(folder / f"sub-{n:02d}/sub-{n:02d}_sessions.tsv", "session_id\tage", visits, "\t")
        for visit in ("01", "02"):
            nifti(folder / f"sub-{n:02d}/ses-{visit}/anat/sub-{n:02d}_ses-{visit}_T1w.nii.gz")
    return folder


def _derivative(folder: Path) -> Path:
    folder.mkdir(parents=True)
    text = '{"Name": "made", "DatasetType": "derivative", "SourceDatasets": [{"URL": "../.."}]}'
    (folder / "dataset_description.json").write_text(text)
    return folder


def fmriprep(folder: Path) -> None:
    made = _derivative(_raw(folder / "ds000001") / "derivatives/fmriprep")
    for n in range(1, 13):
        for visit in ("01", "02"):
            name = f"sub-{n:02d}_ses-{visit}"
            for rest in ("desc-preproc_T1w", "space-MNI152NLin2009cAsym_res-2_desc-preproc_T1w", "desc-brain_mask"):
                nifti(made / f"sub-{n:02d}/ses-{visit}/anat/{name}_{rest}.nii.gz")
        (made / f"sub-{n:02d}.html").write_text("<html></html>")


def xcp_d(folder: Path) -> None:
    made = _derivative(_raw(folder / "ds000001") / "derivatives/xcp_d")
    for n in range(1, 13):
        for visit in ("01", "02"):
            name = f"sub-{n:02d}_ses-{visit}_task-rest_space-MNI152NLin6Asym"
            for atlas in ("4S156Parcels", "Gordon"):
                rows = [[f"{v:.5f}" for v in RNG.random(6)] for _ in range(50)]
                header = "\t".join(f"LH_Vis_{region}" for region in range(6))
                path = made / f"sub-{n:02d}/ses-{visit}/func/{name}_seg-{atlas}_stat-mean_timeseries.tsv"
                table(path, header, rows, "\t")


def chestxray14(folder: Path) -> None:
    """Patients have several films, some of them in colour."""
    rows = []
    for n in range(48):
        name = f"{1 + n // 4:08d}_{n % 4:03d}.png"
        rows.append([name, "No Finding", n % 4, 1 + n // 4, 20 + n // 4, "M"])
        picture(folder / f"images_{1 + n // 24:03d}/images/{name}", (26, 20, 4) if n % 9 == 0 else (26, 20))
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender"
    table(folder / "Data_Entry_2017.csv", header, rows)


LAYOUTS: dict[str, tuple[Callable[[Path], None], int, int, dict[str, float]]] = {
    "IXI": (ixi, 23, 3, {"2": 20.0, "6": 26.0}),
    "OASIS-1": (oasis_1, 24, 0, {"OAS1_0003_MR1": 23.0}),
    "OASIS-3": (oasis_3, 24, 0, {"OAS30001_OAS30001_MR_d0829": 24.5}),
    "ADNI, as LONI hands it out": (adni, 23, 0, {"002_S_0000_I45100": 20.0}),
    "A4: amyloid SUVR": (a4, 24, 0, {"B10000010": 1.2}),
    "OpenBHB": (openbhb, 24, 0, {"100000000002": 23.0}),
    "RSNA bone age": (rsna, 24, 0, {"1380": 34.0}),
    "RHPE": (rhpe, 24, 0, {"4": 34.0}),
    "EchoNet-Dynamic": (echonet, 24, 0, {"0X000000000000000A": 40.0}),
    "HCP young adults": (hcp, 24, 0, {"100209": 25.0}),
    "ABIDE, preprocessed": (abide, 22, 1, {"50003": 20.0}),
    "UK Biobank bulk files": (uk_biobank, 24, 0, {"1000013": 47.0}),
    "UK Biobank bulk files, T1 and FLAIR": (uk_biobank_flair, 23, 1, {"1000013": 47.0}),
    "An fMRIPrep derivative": (fmriprep, 24, 0, {"sub-03_ses-02": 26.5}),
    "An XCP-D derivative": (xcp_d, 24, 0, {"sub-03_ses-01": 24.5}),
    "NIH ChestX-ray14": (chestxray14, 48, 0, {"2_3": 21.0}),
}
"""By their headings in docs/datasets.md: what writes each, how many scans are usable and how many not, some labels."""
