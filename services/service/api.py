"""The service's HTTP: every verb as a route. Each error is one line, {"detail": "..."}."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from anyio import CapacityLimiter, sleep
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contrasweep.services.records.answers import Comparison, Planned, Submitted, Sweep, Trial
from contrasweep.services.service.guard import Guard, Limits
from contrasweep.services.service.measures import Measured, Measures
from contrasweep.services.service.refusals import Refusal
from contrasweep.services.service.sweeps import Service
from contrasweep.services.service.tokens import Identity
from contrasweep.services.spec.extent import More
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.errors import UserError

POLL_S = 0.5
"""How often a followed log is looked at."""
CHUNK_BYTES = 256 * 1024
SPEC_THREADS, PAGE_THREADS, FILE_THREADS = 2, 1, 8
"""Specs checked, reports made, and files read, at once: many requests wait rather than take the machine."""

Kind = Literal["json", "yaml"]
Admit = Callable[[bytes, Kind], LoadedSpec]
"""Makes of a body that somebody sent a spec that may run, or raises UserError."""

KINDS: dict[str, Kind] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/x-yaml": "yaml",
}
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
EXAMPLE_SPEC = {
    "name": "brain-age",
    "data": {
        "participants": "participants.tsv",
        "image": "{participant_id}/anat/{participant_id}_T1w.nii.gz",
        "label": "age",
    },
    "training": {"epochs": 50},
    "search": {"spaces": ["dynlocrep", "supremix"], "trials": 30},
}
EXAMPLE_ID = "brain-age-1c2e90af"
EXAMPLE_SWEEP = {
    "id": EXAMPLE_ID,
    "name": "brain-age",
    "state": "running",
    "user": "ada",
    "attempt": 1,
    "submitted": 1767225600.0,
    "started": 1767225630.0,
    "spent_s": 5400.0,
    "gpu_hours": 3.0,
    "label": "age",
    "trials": 30,
    "seeds": 3,
    "ended": 12,
    "seed_runs": 27,
    "saved": 6,
    "best": 4.81,
}

SweepId = Annotated[str, InPath(description="A sweep's id, or the beginning of it.", examples=[EXAMPLE_ID])]
Others = Annotated[list[str], Query(alias="with", min_length=1, max_length=20, description="Ids of the other sweeps.")]

log = logging.getLogger("contrasweep.service")


class Detail(BaseModel):
    """What is wrong, in one line."""

    detail: str


class Health(BaseModel):
    """That the service is up, or ready."""

    status: Literal["ok"] = "ok"


def make_app(service: Service, guard: Guard, admit: Admit, measures: Measures) -> FastAPI:
    """The application; the queue moves for as long as it is up."""

    @asynccontextmanager
    async def moving(_: FastAPI) -> AsyncIterator[None]:
        await run_sync(service.loop.begin)
        yield
        await run_sync(service.loop.end)

    app = FastAPI(
        title="contrasweep",
        summary="Sweeps of contrastive-regression pretraining on medical images.",
        version=version("contrasweep"),
        lifespan=moving,
        docs_url=None,  # the page takes its scripts from the internet
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_name,
    )
    for router in (
        _operation(app, service, guard, measures),
        _reading(service, guard),
        _logs(service, guard),
        _writing(service, guard, admit),
    ):
        app.include_router(router)
    _answer_errors(app, service)
    app.add_middleware(_Bugs)
    app.add_middleware(Limits)
    app.add_middleware(Measured, measures=measures)
    return app


def _operation(app: FastAPI, service: Service, guard: Guard, measures: Measures) -> APIRouter:
    router = APIRouter(tags=["operation"])
    viewer = [Depends(guard.viewer)]

    @router.get("/healthz", summary="Whether the service is up")
    async def healthz() -> Health:
        """The one route that needs no token; it says nothing of the cluster or the stores."""
        return Health()

    @router.get("/readyz", dependencies=viewer, responses=_errors(401, 429, 503), summary="Whether all parts answer")
    async def readyz() -> Health:
        """503 names what does not answer: the cluster, the store of sweeps, their folders or the queue."""
        if complaints := service.loop.complaints():
            raise HTTPException(503, "; ".join(complaints))
        return Health()

    @router.get(
        "/metrics",
        dependencies=viewer,
        responses=_errors_beside_text(401, 429),
        response_class=PlainTextResponse,
        summary="Measures for Prometheus",
    )
    async def metrics() -> Response:
        """Sweeps by state, the queue, GPU-hours by user, requests, what does not answer."""
        return Response(await run_sync(measures.text), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @router.get("/openapi.json", dependencies=viewer, include_in_schema=False)
    async def openapi() -> JSONResponse:
        """This interface."""
        return JSONResponse(app.openapi())

    return router


def _reading(service: Service, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/sweeps", tags=["sweeps"], dependencies=[Depends(guard.viewer)])
    files, pages = CapacityLimiter(FILE_THREADS), CapacityLimiter(PAGE_THREADS)

    @router.get(
        "",
        responses=_errors(401, 429, 503) | _example("All sweeps.", [EXAMPLE_SWEEP]),
        summary="All sweeps, the oldest first",
    )
    async def sweeps() -> list[Sweep]:
        """Sweeps that were submitted here, and those that were run by hand in the same folders."""
        return service.sweeps()

    @router.get(
        "/{sweep_id}",
        responses=_errors(401, 404, 409, 422, 429, 503) | _example("How it stands.", EXAMPLE_SWEEP),
        summary="How a sweep stands",
    )
    async def status(sweep_id: SweepId) -> Sweep:
        """At most a second or two old. `final` is there once the sweep is finished; of a sweep with outer folds
        `searches` says how that in each stands, and `ID.0`, `ID.1` ... are asked for as sweeps are."""
        sweep = service.status(sweep_id)
        if sweep.state == "finished" or sweep.outer:
            return await run_sync(service.with_details, sweep, limiter=files)
        return sweep

    @router.get(
        "/{sweep_id}/trials",
        responses=_errors(401, 404, 409, 422, 429, 503),
        summary="A sweep's configurations, the best first",
    )
    async def trials(sweep_id: SweepId) -> list[Trial]:
        """Empty before the sweep has begun."""
        return await run_sync(service.trials, sweep_id, limiter=files)

    @router.get(
        "/{sweep_id}/compare",
        responses=_errors(401, 404, 409, 422, 429, 503),
        summary="Several sweeps side by side",
    )
    async def compare(sweep_id: SweepId, others: Others) -> Comparison:
        """What their specs say otherwise, their best configurations and final figures, in pairs with the first sweep's
        where they can be, and how each search went on."""
        return await run_sync(service.compare, [sweep_id, *others], limiter=pages)

    @router.get(
        "/{sweep_id}/report",
        responses=_errors_beside_text(401, 404, 409, 422, 429, 503),
        response_class=HTMLResponse,
        summary="A sweep's report: one HTML page, complete in itself",
    )
    async def report(sweep_id: SweepId) -> HTMLResponse:
        """As of now, also while the sweep runs."""
        page = await run_sync(service.report, sweep_id, limiter=pages)
        return HTMLResponse(page, headers={"content-security-policy": REPORT_POLICY})

    return router


def _logs(service: Service, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/sweeps", tags=["sweeps"], dependencies=[Depends(guard.viewer)])
    files = CapacityLimiter(FILE_THREADS)

    async def stream(sweep_id: str, path: Path, follow: bool) -> AsyncIterator[str]:
        position, more = 0, True
        while more:
            more = follow and service.is_active(sweep_id)
            part = b"part"
            while part:
                part = await run_sync(_whole_lines, path, position, more, limiter=files)
                position += len(part)
                if part:
                    yield service.hidden(part.decode(errors="replace"))
            if more:
                await sleep(POLL_S)

    @router.get(
        "/{sweep_id}/logs",
        responses=_errors_beside_text(401, 404, 409, 422, 429, 503),
        response_class=PlainTextResponse,
        summary="The driver's log, or that of one configuration",
    )
    async def logs(
        sweep_id: SweepId,
        trial: Annotated[int | None, Query(ge=0, le=10**6, description="Of this configuration.")] = None,
        follow: Annotated[bool, Query(description="Go on until the sweep ends.")] = False,
    ) -> StreamingResponse:
        """Plain lines, each with its time in UTC, streamed."""
        whole_id = service.status(sweep_id).id
        path = await run_sync(service.log, whole_id, trial, follow, limiter=files)
        return StreamingResponse(stream(whole_id, path, follow), media_type="text/plain; charset=utf-8")

    return router


def _writing(service: Service, guard: Guard, admit: Admit) -> APIRouter:
    router = APIRouter(prefix="/sweeps", tags=["sweeps"])
    specs, stores, plans = CapacityLimiter(SPEC_THREADS), CapacityLimiter(FILE_THREADS), CapacityLimiter(SPEC_THREADS)

    @router.post(
        "",
        status_code=202,
        responses=_errors(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)
        | {200: {"model": Submitted | Planned, "description": "It runs already, or is done; or the plan."}},
        openapi_extra={"requestBody": _spec_body()},
        summary="Submit a sweep, or plan it",
    )
    async def submit(
        request: Request,
        response: Response,
        caller: Annotated[Identity, Depends(guard.submitter)],
        plan: Annotated[bool, Query(description="Say what the sweep would take, and begin nothing.")] = False,
    ) -> Submitted | Planned:
        """The body is the spec. The same spec runs once, however often it is submitted: one that was stopped or failed
        goes on. Relative paths start from the service's data roots."""
        loaded = await run_sync(admit, await request.body(), _kind(request), limiter=specs)
        if plan:
            response.status_code = 200
            return await run_sync(service.plan, loaded, limiter=plans)
        return _accepted(await run_sync(service.submit, caller, loaded, limiter=stores), response)

    @router.post(
        "/{sweep_id}/stop",
        responses=_errors(401, 403, 404, 409, 422, 429, 503) | _example("How it stands.", EXAMPLE_SWEEP),
        summary="Stop a sweep",
    )
    async def stop(
        sweep_id: SweepId,
        caller: Annotated[Identity, Depends(guard.submitter)],
        now: Annotated[bool, Query(description="Kill it; what its last checkpoints have is kept.")] = False,
    ) -> Sweep:
        """After the epochs under way; one that waits leaves the queue. One's own sweeps; an admin any."""
        return await run_sync(service.stop, caller, sweep_id, now, limiter=stores)

    @router.post(
        "/{sweep_id}/resume",
        status_code=202,
        responses=_errors(401, 403, 404, 409, 422, 429, 503)
        | {200: {"model": Submitted, "description": "It runs already, or is done."}},
        summary="Go on with a sweep",
    )
    async def resume(
        sweep_id: SweepId, response: Response, caller: Annotated[Identity, Depends(guard.submitter)]
    ) -> Submitted:
        """One that was stopped, failed or was interrupted; finished seeds are kept."""
        return _accepted(await run_sync(service.resume, caller, sweep_id, limiter=stores), response)

    @router.post(
        "/{sweep_id}/extend",
        status_code=202,
        responses=_errors(400, 401, 403, 404, 409, 422, 429, 503)
        | {200: {"model": Submitted, "description": "It runs already, or goes as far."}},
        summary="Go on with a sweep to more trials, seeds, finalists or methods",
    )
    async def extend(
        sweep_id: SweepId, more: More, response: Response, caller: Annotated[Identity, Depends(guard.submitter)]
    ) -> Submitted:
        """A finished one, too; it keeps its id and what it has. One that runs is stopped first."""
        if more.add_spaces:
            further = await run_sync(service.extended, caller, sweep_id, more, limiter=stores)
            await run_sync(admit, further.spec.to_yaml().encode(), "yaml", limiter=specs)
        return _accepted(await run_sync(service.extend, caller, sweep_id, more, limiter=stores), response)

    @router.post(
        "/{sweep_id}/sync",
        responses=_errors(401, 403, 404, 409, 422, 429, 503) | _example("How it stands.", EXAMPLE_SWEEP),
        summary="Tell MLflow all of a sweep that has ended",
    )
    async def sync(sweep_id: SweepId, caller: Annotated[Identity, Depends(guard.submitter)]) -> Sweep:
        """From what is on disk; what MLflow has already stays as it is. One's own sweeps; an admin any."""
        return await run_sync(service.sync, caller, sweep_id, limiter=plans)

    return router


def _accepted(submitted: Submitted, response: Response) -> Submitted:
    if submitted.outcome in ("already running", "done"):
        response.status_code = 200
    return submitted


def _kind(request: Request) -> Kind:
    """Whether the body is JSON or YAML. Raises HTTPException where it is neither."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named not in KINDS:
        raise HTTPException(415, f"the content type must be one of: {', '.join(KINDS)}")
    return KINDS[named]


def _whole_lines(path: Path, position: int, more: bool) -> bytes:
    """What a file has from `position` on, up to its last whole line while more may come; empty where nothing new."""
    try:
        with path.open("rb") as file:
            file.seek(position)
            part = file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return b""
    end = part.rfind(b"\n") + 1
    if not end and (not more or len(part) == CHUNK_BYTES):
        return part
    return part[:end]


def _answer_errors(app: FastAPI, service: Service) -> None:
    @app.exception_handler(UserError)
    async def user_error(_: Request, error: UserError) -> JSONResponse:
        status = error.status if isinstance(error, Refusal) else 422
        return _detail(status, service.hidden(" ".join(str(error).split())))

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return _detail(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")

    @app.exception_handler(StarletteHTTPException)
    async def http_error(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return _detail(error.status_code, str(error.detail), dict(error.headers or {}))


class _Bugs:
    """ASGI middleware: an exception that nobody expected is 500 and no more; its traceback is for the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            if scope["type"] != "http":
                raise
            log.exception("%s failed", getattr(scope.get("route"), "path", "a request"))
            if not begun:
                await _detail(500, "internal error")(scope, receive, send)


def _detail(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": text}, status, headers)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Detail, "description": HTTPStatus(status).phrase} for status in statuses}


def _errors_beside_text(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for a route whose answer is text: a model would be taken for text, too."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Detail"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def _example(description: str, value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {"application/json": {"example": value}}}}


def _spec_body() -> dict[str, Any]:
    content = {"schema": {"type": "object"}, "example": EXAMPLE_SPEC}
    return {"required": True, "description": "The spec.", "content": {name: content for name in KINDS}}


def _name(route: APIRoute) -> str:
    return route.name
