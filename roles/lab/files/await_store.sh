#!/bin/sh
# Makes the bucket, where nothing that was written can be destroyed for LOCK_DAYS, and waits until S3 answers over TLS; the
# unit's own start timeout is the deadline.
set -eu
s3() {
  curl --silent --cacert /etc/lab-host/ca.crt --max-time 5 --output /dev/null --write-out '%{http_code}' "$@"
}
until [ "$(s3 "https://$(hostname):$PORT/")" = 403 ]; do
  sleep 0.2
done
until echo "s3.bucket.list" | /etc/lab-host/weed shell -master="$ADDRESS:9333" 2>&1 | grep -qw "$BUCKET"; do
  echo "s3.bucket.create -name $BUCKET -withLock" | /etc/lab-host/weed shell -master="$ADDRESS:9333" || sleep 0.5
done
# No command of the shell sets a default; the owner's key comes from a file, for arguments can be read by everybody.
retention="<DefaultRetention><Mode>GOVERNANCE</Mode><Days>$LOCK_DAYS</Days></DefaultRetention>"
lock="<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>$retention</Rule></ObjectLockConfiguration>"
until [ "$(s3 --config /etc/lab-host/owner.curl --aws-sigv4 "aws:amz:$REGION:s3" --request PUT --data-binary "$lock" \
  --header "x-amz-content-sha256: $(printf %s "$lock" | sha256sum | cut -d' ' -f1)" --header 'Content-Type: application/xml' \
  "https://$(hostname):$PORT/$BUCKET?object-lock=")" = 200 ]; do
  sleep 0.5
done
