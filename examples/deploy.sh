#!/bin/sh
# One deploy at a time, in order of arrival.  The token grows with every deploy: hand it to whatever
# must not be written by a deploy that was overtaken.
consul-lock run --key deploy/web -w 10m -- sh -c '
  echo "deploying with fencing token $CONSUL_LOCK_TOKEN"
'
