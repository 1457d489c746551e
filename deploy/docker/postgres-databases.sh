#!/usr/bin/env bash
# Makes the databases and their owners, once, when PostgreSQL's data folder is new; the image calls it.
#   POSTGRES_USER                                who makes them
#   SEARCH_PASSWORD_FILE, MLFLOW_PASSWORD_FILE   files with the owners' passwords
set -euo pipefail
for variable in SEARCH_PASSWORD_FILE MLFLOW_PASSWORD_FILE; do
    if [ ! -s "${!variable:-}" ]; then
        echo "error: $variable is not the path of a file with a password" >&2
        exit 2
    fi
done
psql --no-password --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set search `cat "$SEARCH_PASSWORD_FILE"`
\set mlflow `cat "$MLFLOW_PASSWORD_FILE"`
create role contrasweep login password :'search';
create role mlflow login password :'mlflow';
create database contrasweep owner contrasweep;
create database mlflow owner mlflow;
create database mlflow_auth owner mlflow;
revoke connect on database contrasweep, mlflow, mlflow_auth from public;
SQL
