#!/bin/sh
# Makes the bucket and waits until S3 answers over TLS; the unit's own start timeout is the deadline.
set -eu
until [ "$(curl --silent --cacert /etc/lab-host/ca.crt --max-time 2 --output /dev/null --write-out '%{http_code}' "https://$(hostname):$PORT/")" = 403 ]; do
  sleep 0.2
done
until echo "s3.bucket.list" | /etc/lab-host/weed shell -master="$ADDRESS:9333" 2>&1 | grep -qw "$BUCKET"; do
  echo "s3.bucket.create -name $BUCKET" | /etc/lab-host/weed shell -master="$ADDRESS:9333" || sleep 0.5
done
