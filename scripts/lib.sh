# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts share: progress, packages, the list of tracked files. Sourced, never run; the
# caller has set -euo pipefail. Nothing here reads stdin or asks a question.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
as_root=()
step_began=

# step TEXT: says what begins now, and how long the step before it took.
step() {
  end_step
  step_began=$SECONDS
  printf '==> %s\n' "$1"
}

# end_step: closes the running step, if any.
end_step() {
  if [[ -n $step_began && $((SECONDS - step_began)) -gt 0 ]]; then
    printf '    %d s\n' $((SECONDS - step_began))
  fi
  step_began=
}

# die CODE TEXT: 1 is "the answer is no", 2 wrong usage, 3 the environment can't.
die() {
  printf '%s: %s\n' "${0##*/}" "$2" >&2
  exit "$1"
}

# need_root_or_sudo WHY: afterwards "${as_root[@]}" COMMAND runs as root.
need_root_or_sudo() {
  if [[ $EUID -eq 0 ]]; then
    as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  elif command -v sudo >/dev/null && [[ -t 0 && -z ${CI-} ]]; then
    as_root=(sudo)
  else
    die 3 "needs root or sudo: $1"
  fi
}

is_installed() {
  local status
  status=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) && [[ $status == installed ]]
}

# missing_packages SECTION...: one name a line; of alternatives the first, if none is there.
missing_packages() {
  local section line name found current
  local -A seen=()
  for section in "$@"; do
    current=
    found=
    while read -r line; do
      case $line in
        '' | '#'*) continue ;;
        '['*) current=${line//[\[\]]/} ;;
        *)
          [[ $current == "$section" ]] || continue
          found=yes
          [[ -z ${seen[$line]-} ]] || continue
          seen[$line]=yes
          for name in ${line//|/ }; do
            is_installed "$name" && continue 2
          done
          printf '%s\n' "${line%%|*}"
          ;;
      esac
    done <"$root/scripts/packages.txt"
    [[ -n $found ]] || die 70 "no section [$section] in scripts/packages.txt"
  done
}

policy_rc_d=/usr/sbin/policy-rc.d

# Debian starts a daemon when its package is installed. The demo starts its own, so nginx and redis
# are held back during the installation; other packages are answered as before.
hold_daemons() {
  if [[ -e $policy_rc_d ]]; then
    "${as_root[@]}" mv "$policy_rc_d" "$policy_rc_d.bulkhead"
  fi
  "${as_root[@]}" tee "$policy_rc_d" >/dev/null <<'GUARD'
#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
case $1 in nginx* | redis*) exit 101 ;; esac
if [ -x /usr/sbin/policy-rc.d.bulkhead ]; then exec /usr/sbin/policy-rc.d.bulkhead "$@"; fi
exit 0
GUARD
  "${as_root[@]}" chmod 0755 "$policy_rc_d"
}

release_daemons() {
  if [[ -e $policy_rc_d.bulkhead ]]; then
    "${as_root[@]}" mv "$policy_rc_d.bulkhead" "$policy_rc_d"
  elif grep -qs policy-rc.d.bulkhead "$policy_rc_d"; then
    "${as_root[@]}" rm -f "$policy_rc_d"
  fi
}

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# In a subshell of its own, so that the trap is not the caller's and daemons are released on any end.
install_held() (
  log=$(mktemp)
  trap 'release_daemons; rm -f "$log"' EXIT
  release_daemons # what an installation that was killed left behind
  case " $*" in
    *' nginx-'* | *' redis-server'*) hold_daemons || die 3 "can't write $policy_rc_d" ;;
  esac
  if ! { apt update && apt --no-install-recommends install "$@"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die 3 "apt-get failed"
  fi
)

# install_packages SECTION...: installs what is missing of the named sections, and nothing else.
install_packages() {
  local missing packages package
  missing=$(missing_packages "$@") || exit
  [[ -n $missing ]] || return 0
  mapfile -t packages <<<"$missing"
  command -v apt-get >/dev/null || die 3 "not a Debian system; install by hand: ${packages[*]}"
  need_root_or_sudo "to install ${packages[*]}"
  step "installing ${#packages[@]} packages: ${packages[*]}"
  install_held "${packages[@]}" || exit
  # Held back now is not enough where systemd would start them at the next boot.
  if [[ -d /run/systemd/system ]]; then
    for package in "${packages[@]}"; do
      case $package in
        nginx*) "${as_root[@]}" systemctl -q disable nginx ;;
        redis-server) "${as_root[@]}" systemctl -q disable redis-server ;;
      esac
    done
  fi
}

# add_architecture ARCH: so that packages of it can be installed.
add_architecture() {
  dpkg --print-foreign-architectures | grep -qx "$1" && return
  need_root_or_sudo "to add the architecture $1"
  step "adding the architecture $1 to dpkg's: dpkg --add-architecture $1"
  "${as_root[@]}" dpkg --add-architecture "$1"
  # Before anything is asked of its packages.
  apt update || die 3 "apt-get update failed"
}

# tracked_files PATTERN...: NUL-separated paths below the root; in an unpacked archive, all files.
tracked_files() {
  if [[ -e $root/.git ]]; then
    git -C "$root" -c "safe.directory=$root" ls-files -z --cached -- "$@"
  else
    local pattern
    for pattern in "$@"; do
      (cd "$root" && find . -path ./build -prune -o -type f -path "./$pattern" -printf '%P\0')
    done
  fi
}

# configure PRESET: once; later changes are CMake's own business.
configure() {
  if [[ ! -e $root/build/$1/build.ninja ]]; then
    step "configuring $1"
    (cd "$root" && cmake --preset "$1" >/dev/null)
  fi
}
