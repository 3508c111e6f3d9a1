#!/bin/sh
# Makes sure that this machine can build Lookout: Swift 6.3 and a few Debian packages.
#
# usage: scripts/setup.sh [PACKAGE…]   further packages that are wanted
set -eu

packages="libopenblas-dev libjpeg62-turbo-dev libcurl4-openssl-dev libmicrohttpd-dev libpng-dev libsqlite3-dev libsystemd-dev libssl-dev
libtomlplusplus-dev zlib1g-dev pkg-config sqlite3 g++ make patchelf groff-base"
# What the Swift toolchain itself needs to start and to link; without them even `swift --version` fails.
packages="$packages binutils git libc6-dev libcurl4 libedit2 libncurses6 libstdc++-12-dev libxml2 tzdata $*"

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for package in $packages; do
  installed "$package" || missing="$missing $package"
done

if [ -n "$missing" ]; then
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "setup: run as root: apt-get install$missing" >&2
      exit 77
    }
    as_root=sudo
  fi
  echo "setup: installing$missing"
  $as_root apt-get update -qq
  # The list is words on purpose.
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

if ! command -v swift >/dev/null; then
  echo "setup: Swift 6.3 is not on the PATH; see https://www.swift.org/install/linux/" >&2
  exit 69
fi
case "$(swift --version 2>/dev/null)" in
*"Swift version 6.3"*) ;;
*)
  echo "setup: Swift 6.3 is needed; 'swift --version' says:" >&2
  swift --version >&2
  exit 69
  ;;
esac
