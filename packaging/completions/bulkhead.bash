# SPDX-License-Identifier: Apache-2.0
# Generated from cli/command_table.cc by BULKHEAD_REGENERATE=1 test-cli.
_bulkhead() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=''
  local command=${COMP_WORDS[1]} family=''
  COMPREPLY=()
  case $command in audit|attest|import|export) family=1 ;; esac
  [[ -n $family && $COMP_CWORD -gt 2 ]] && command="$command ${COMP_WORDS[2]}"
  case "$command $previous" in
    'check --format') words='text json sarif' ;;
    'compile --format') words='text json' ;;
    'inspect --format') words='text json' ;;
    'why --format') words='text json' ;;
    'test --format') words='text tap junit json' ;;
    'diff --format') words='text json' ;;
    'run --format') words='text json' ;;
    'probe --format') words='text json' ;;
    'status --format') words='text json' ;;
    'measure --format') words='text json' ;;
    'image --format') words='text json' ;;
    'doctor --format') words='yaml json' ;;
    'audit verify --format') words='text json' ;;
    'audit summary --format') words='text json' ;;
    'audit tail --format') words='text json' ;;
    'audit explain --format') words='text json' ;;
    'attest expect --format') words='text json' ;;
    'attest verify --format') words='text json' ;;
    'export bpf --refuse') words='notify errno kill' ;;
    'export bpf --execve') words='as-is allow' ;;
    'export oci-seccomp --refuse') words='errno kill' ;;
    'export oci-seccomp --execve') words='as-is allow' ;;
  esac
  if [[ -n $words ]]; then :
  elif [[ $COMP_CWORD -eq 1 ]]; then
    words='check compile inspect why test diff run exec probe learn status stop restart measure logs image doctor schema audit sign attest import export --help --version'
  elif [[ $current == -* || ( -n $family && $COMP_CWORD -eq 2 ) ]]; then
    case $command in
    'check') words='--help --target --set --date --allow-observe --root --format' ;;
    'compile') words='--help --output --target --set --date --allow-observe --root --weights --weights-all --format' ;;
    'inspect') words='--help --component --format' ;;
    'why') words='--help --allow-observe --target --set --date --format' ;;
    'test') words='--help --target --set --date --allow-observe --format' ;;
    'diff') words='--help --target --old-target --allow-observe --set --date --accept --format' ;;
    'run') words='--help --target --set --date --allow-observe --init --format' ;;
    'exec') words='--help --init' ;;
    'probe') words='--help --target --set --date --component --init --format' ;;
    'learn') words='--help --output --name --user --env --directory --listen --policy --component --log --target --init' ;;
    'status') words='--help --enclave --watch --format' ;;
    'stop') words='--help --enclave' ;;
    'restart') words='--help --enclave' ;;
    'measure') words='--help --enclave --format' ;;
    'logs') words='--help --lines --follow --enclave' ;;
    'image') words='--help --root --output --init --module --format' ;;
    'doctor') words='--help --kernel-config --format' ;;
    'schema') words='--help' ;;
    'audit verify') words='--help --key --rotated --stream --partial --closed --format' ;;
    'audit summary') words='--help --component --kind --control --action --rule --since --top --bundle --key --rotated --stream --partial --format' ;;
    'audit tail') words='--help --lines --follow --component --kind --control --action --rule --since --bundle --format' ;;
    'audit explain') words='--help --run --bundle --key --rotated --stream --partial --format' ;;
    'sign') words='--help --key' ;;
    'attest expect') words='--help --format' ;;
    'attest verify') words='--help --root --event-log --component --bytes --nonce --at --register --format' ;;
    'import oci-seccomp') words='--help --target --cap --exec' ;;
    'export bpf') words='--help --output --refuse --execve' ;;
    'export oci-seccomp') words='--help --output --refuse --execve' ;;
    'audit'*) words='verify summary tail explain' ;;
    'attest'*) words='expect verify' ;;
    'import'*) words='oci-seccomp' ;;
    'export'*) words='bpf oci-seccomp' ;;
    esac
  fi
  [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _bulkhead bulkhead
