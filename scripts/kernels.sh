# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Debian's kernels for guests, and programs of another architecture, unpacked beside the build and not
# installed. Sourced after lib.sh.

# fetch_kernel RELEASE [ARCH]: sets kernel to a folder with boot/ and lib/modules/, version to its
# release. ARCH as Debian names it.
# shellcheck disable=SC2034,SC2154 # the caller's, and lib.sh's
fetch_kernel() {
  local meta package arch=${2-amd64}
  case $1 in
    6.1) meta=linux-image-$arch ;;
    6.12) meta=linux-image-6.12-$arch ;;
    *) die 2 "no kernel $1 here: 6.1 and 6.12 are Debian 12's" ;;
  esac
  kernel=$root/build/kernels/$1
  if [[ $arch != amd64 ]]; then
    meta+=:$arch
    kernel=$root/build/kernels/$arch/$1
  fi
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

# fetch_programs ARCH PACKAGE...: sets programs to a folder with their files, /usr merged.
# shellcheck disable=SC2034
fetch_programs() {
  local arch=$1 package
  shift
  programs=$root/build/programs/$arch
  [[ ! -e $programs/complete ]] || return 0
  step "downloading $# packages for $arch"
  rm -rf "$programs"
  mkdir -p "$programs"/{packages,usr/bin,usr/lib,etc}
  ln -s usr/bin usr/lib "$programs/"
  apt update >/dev/null 2>&1 || true
  (cd "$programs/packages" && apt-get -qq download "${@/%/:$arch}" 2>/dev/null) ||
    die 3 "apt-get download failed"
  for package in "$programs"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$programs" --keep-directory-symlink
  done
  # The loader knows the places of Debian's libraries; there is nothing more to find.
  touch "$programs/etc/ld.so.cache"
  rm -r "$programs/packages"
  touch "$programs/complete"
  end_step
}
