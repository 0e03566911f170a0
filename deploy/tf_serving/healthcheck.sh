#!/bin/bash
# healthcheck.sh MODEL...: succeeds if a version of each is in service. Needs bash alone.
# PORT is that of the REST API.
for model in "$@"; do
  exec 3<>"/dev/tcp/127.0.0.1/${PORT:-8501}" || exit 1
  printf 'GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' \
    "$model" >&3
  answer=$(cat <&3)
  exec 3>&-
  [[ $answer == *'"AVAILABLE"'* ]] || { echo "$model is not in service"; exit 1; }
done
