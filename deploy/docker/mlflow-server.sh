#!/usr/bin/env bash
# MLflow's server with basic authentication, on PostgreSQL, as the only way to the artifacts.
#
# Refuses to start without its secrets. Further options of `mlflow server` may follow as arguments.
#   MLFLOW_BACKEND_STORE_URI       postgresql+psycopg2://mlflow@HOST/mlflow, without a password
#   MLFLOW_AUTH_STORE_URI          postgresql+psycopg2://mlflow@HOST/mlflow_auth: users and permissions
#   MLFLOW_ARTIFACTS_DESTINATION   a folder, or a bucket's URL
#   MLFLOW_DATABASE_PASSWORD_FILE  file with the databases' password
#   MLFLOW_ADMIN_PASSWORD_FILE     file with the password of the user `admin`: made once, not changed later
#   MLFLOW_SECRET_KEY_FILE         file with the key that signs sessions
#   MLFLOW_ACCOUNT_PASSWORD_FILE   optional: file with the password of the user `contrasweep`, made or changed to it
#   MLFLOW_HOST, MLFLOW_PORT, MLFLOW_WORKERS, MLFLOW_SERVER_ALLOWED_HOSTS: as `mlflow server` has them
set -euo pipefail
umask 077
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=secrets.sh
. "$here/secrets.sh"

for variable in MLFLOW_BACKEND_STORE_URI MLFLOW_AUTH_STORE_URI MLFLOW_ARTIFACTS_DESTINATION; do
    if [ -z "${!variable:-}" ]; then
        echo "error: $variable is not set" >&2
        exit 2
    fi
done
database=$(secret MLFLOW_DATABASE_PASSWORD_FILE 16)
admin=$(secret MLFLOW_ADMIN_PASSWORD_FILE 16)
key=$(secret MLFLOW_SECRET_KEY_FILE 32)
if [ -n "${MLFLOW_ACCOUNT_PASSWORD_FILE:-}" ]; then
    secret MLFLOW_ACCOUNT_PASSWORD_FILE 16 >/dev/null
fi

private=$(mktemp -d)
pgpass "$database" >"$private/pgpass"
cat >"$private/basic_auth.ini" <<INI
[mlflow]
default_permission = READ
database_uri = $(ini "$MLFLOW_AUTH_STORE_URI")
admin_username = admin
admin_password = $(ini "$admin")
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 30
INI

export PGPASSFILE="$private/pgpass"
export MLFLOW_AUTH_CONFIG_PATH="$private/basic_auth.ini"
export MLFLOW_FLASK_SERVER_SECRET_KEY="$key"
export MLFLOW_HOST="${MLFLOW_HOST:-127.0.0.1}"
export MLFLOW_PORT="${MLFLOW_PORT:-5000}"
export MLFLOW_WORKERS="${MLFLOW_WORKERS:-2}"
# On a busy machine a worker takes longer to start than uvicorn's 5 s of patience, which would kill it for ever.
export MLFLOW_UVICORN_OPTS="${MLFLOW_UVICORN_OPTS:---timeout-worker-healthcheck 120}"
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false

if [ -n "${MLFLOW_ACCOUNT_PASSWORD_FILE:-}" ]; then
    python "$here/mlflow_account.py" &
fi
exec mlflow server --app-name basic-auth --serve-artifacts "$@"
