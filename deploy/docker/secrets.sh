# shellcheck shell=bash
# Sourced by the entry scripts: reads secrets from files, never from the environment or the command line.

# secret VARIABLE MINIMUM: the first line of the file that VARIABLE names. Ends the script where it is missing,
# holds more than one line, or is shorter than MINIMUM characters.
secret() {
    local variable=$1 minimum=$2 file=${!1:-} value
    if [ -z "$file" ]; then
        echo "error: $variable is not set: the path of a file with at least $minimum characters" >&2
        exit 2
    elif [ ! -r "$file" ]; then
        echo "error: $variable=$file: no such file, or not readable by uid $(id -u)" >&2
        exit 2
    fi
    value=$(<"$file")
    case $value in
        *$'\n'*)
            echo "error: $variable=$file: more than one line" >&2
            exit 2
            ;;
    esac
    if [ ${#value} -lt "$minimum" ]; then
        echo "error: $variable=$file: shorter than $minimum characters" >&2
        exit 2
    fi
    printf '%s' "$value"
}

# ini VALUE: as Python's configparser reads it back.
ini() { printf '%s' "${1//%/%%}"; }

# pgpass VALUE: a password for libpq's password file, for every server, database and user.
pgpass() {
    local value=${1//\\/\\\\}
    printf '*:*:*:*:%s\n' "${value//:/\\:}"
}
