"""Studies: one YAML file for each table and figure of both papers, and what the papers say of them.

`published.csv` has their numbers, one a row: `setting` is what a row differs in, `metric` is what the number is, which
a paper's column may call otherwise. `datasets.csv` has their data sets: people in all and in the test split.
"""
