#!/usr/bin/env bash
# Puts secrets where clients look for them, in the home folder (memory), then runs its arguments.
#   DATABASE_PASSWORD_FILE   optional: of PostgreSQL; the URL of the settings then has none
#   MLFLOW_PASSWORD_FILE     optional: of MLflow's user `contrasweep`
set -euo pipefail
umask 077
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=secrets.sh
. "$here/secrets.sh"

if [ -n "${DATABASE_PASSWORD_FILE:-}" ]; then
    password=$(secret DATABASE_PASSWORD_FILE 16)
    pgpass "$password" >"${PGPASSFILE:-$HOME/.pgpass}"
fi
if [ -n "${MLFLOW_PASSWORD_FILE:-}" ]; then
    password=$(secret MLFLOW_PASSWORD_FILE 16)
    mkdir -p "$HOME/.mlflow"
    cat >"$HOME/.mlflow/credentials" <<INI
[mlflow]
mlflow_tracking_username = contrasweep
mlflow_tracking_password = $(ini "$password")
INI
fi
exec "$@"
