#!/bin/sh
# `member`: join by /site/invitation.toml, then take part. Anything else is a command of fairfed.
set -eu
if [ "${1:-}" = member ]; then
  fairfed site join /site/invitation.toml --site /site/site.toml
  exec fairfed site start /site/site.toml --foreground
fi
exec fairfed "$@"
