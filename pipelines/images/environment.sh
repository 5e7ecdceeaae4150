#!/bin/sh
# Makes /opt/venv from requirements.lock, without what no step imports, and its bill of materials.
# Run while an image is built, where nothing but Python is there:
#
#   sh environment.sh IMAGE MODULE [PATTERN...]
#
# MODULE is what the base image has to bring, such as torch; empty: nothing, and nothing of it is seen.
# PATTERNs are what this image can do without besides.
set -eu
image=$1
module=$2
shift 2
site_packages=/opt/venv/lib/python3.11/site-packages

install() {
  /opt/pip/bin/pip --python /opt/venv/bin/python3 install --no-cache-dir --no-compile --no-deps \
    --ignore-installed --use-pep517 --no-build-isolation --require-hashes --requirement "$1"
}

python3 check_base.py ${module:+"$module"}
python3 -m venv /opt/pip
python3 -m venv --without-pip ${module:+--system-site-packages} /opt/venv
# What has no wheel is built with the setuptools of the lock file, if there is one.
if grep --after-context=1 '^setuptools==' requirements.lock >setuptools.lock; then
  install setuptools.lock
fi
install requirements.lock
python3 trimming.py "$site_packages" "$@"
python3 -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib
echo /app >"$site_packages/app.pth"
chmod -R a+rX /opt/venv
mkdir /app
/opt/venv/bin/python3 sbom.py "$image" requirements.lock >/app/sbom.cdx.json
