#!/usr/bin/env bash
# Makes deploy/secrets/ and deploy/.env for compose.yaml. Refuses to replace what is there.
set -euo pipefail
umask 077
cd "$(dirname "$0")"

for path in secrets .env; do
    if [ -e "$path" ]; then
        echo "error: deploy/$path exists; a secret is replaced by hand, one by one (README: Secrets)" >&2
        exit 2
    fi
done
if ! command -v openssl >/dev/null; then
    echo "error: openssl is not installed" >&2
    exit 2
fi

mkdir secrets
for name in postgres_password search_password mlflow_database_password mlflow_admin_password mlflow_password \
    mlflow_secret_key ray_token; do
    openssl rand -hex 32 >"secrets/$name"
done

# Containers run as the owner of the secrets; root's are handed to the images' own user.
uid=$(id -u) gid=$(id -g)
if [ "$uid" -eq 0 ]; then
    uid=10001 gid=10001
    chown -R "$uid:$gid" secrets
fi
sed -e "s/^RUN_UID=.*/RUN_UID=$uid/" -e "s/^RUN_GID=.*/RUN_GID=$gid/" .env.example >.env
echo "made deploy/secrets and deploy/.env; next: set DATA_FOLDER in deploy/.env"
