# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Debian's kernels for guests, unpacked beside the build and not installed. Sourced after lib.sh.

# fetch_kernel RELEASE: sets kernel to a folder with boot/ and lib/modules/, version to its release.
# shellcheck disable=SC2034,SC2154 # the caller's, and lib.sh's
fetch_kernel() {
  local meta package
  case $1 in
    6.1) meta=linux-image-amd64 ;;
    6.12) meta=linux-image-6.12-amd64 ;;
    *) die 2 "no kernel $1 here: 6.1 and 6.12 are Debian 12's" ;;
  esac
  kernel=$root/build/kernels/$1
  if [[ ! -e $kernel/complete ]]; then
    package=$(apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -1)
    if [[ -z $package ]]; then
      apt update >/dev/null 2>&1 || true
      package=$(apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -1)
    fi
    [[ -n $package ]] || die 3 "no package $meta in this machine's package lists"
    step "downloading $package"
    rm -rf "$kernel"
    mkdir -p "$kernel"
    (cd "$kernel" && apt-get -qq download "$package" 2>/dev/null) || die 3 "apt-get download failed"
    dpkg-deb -x "$kernel"/*.deb "$kernel"
    rm -f "$kernel"/*.deb
    version=$(ls "$kernel/lib/modules")
    depmod -b "$kernel" "$version"
    touch "$kernel/complete"
    end_step
  fi
  version=$(ls "$kernel/lib/modules")
}
