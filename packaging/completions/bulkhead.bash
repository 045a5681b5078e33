# SPDX-License-Identifier: Apache-2.0
# Generated from cli/command_table.cc by BULKHEAD_REGENERATE=1 test-cli.
_bulkhead() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=''
  local command=${COMP_WORDS[1]} family=''
  COMPREPLY=()
  case $command in audit|import|export) family=1 ;; esac
  [[ -n $family && $COMP_CWORD -gt 2 ]] && command="$command ${COMP_WORDS[2]}"
  case "$command $previous" in
    'check --format') words='text json sarif' ;;
    'compile --format') words='text json' ;;
    'inspect --format') words='text json' ;;
    'why --format') words='text json' ;;
    'test --format') words='text tap junit json' ;;
    'diff --format') words='text json' ;;
    'run --format') words='text json' ;;
    'status --format') words='text json' ;;
    'doctor --format') words='yaml json' ;;
    'audit verify --format') words='text json' ;;
    'audit summary --format') words='text json' ;;
    'export bpf --refuse') words='notify errno kill' ;;
    'export bpf --execve') words='as-is allow' ;;
    'export oci-seccomp --refuse') words='errno kill' ;;
    'export oci-seccomp --execve') words='as-is allow' ;;
  esac
  if [[ -n $words ]]; then :
  elif [[ $COMP_CWORD -eq 1 ]]; then
    words='check compile inspect why test diff run exec status stop restart logs doctor schema audit import export --help --version'
  elif [[ $current == -* || ( -n $family && $COMP_CWORD -eq 2 ) ]]; then
    case $command in
    'check') words='--help --target --set --date --format' ;;
    'compile') words='--help --output --target --set --date --weights --weights-all --format' ;;
    'inspect') words='--help --component --format' ;;
    'why') words='--help --target --set --date --format' ;;
    'test') words='--help --target --set --date --format' ;;
    'diff') words='--help --target --old-target --set --date --accept --format' ;;
    'run') words='--help --target --set --date --init --format' ;;
    'exec') words='--help --init' ;;
    'status') words='--help --enclave --watch --format' ;;
    'stop') words='--help --enclave' ;;
    'restart') words='--help --enclave' ;;
    'logs') words='--help --lines --follow --enclave' ;;
    'doctor') words='--help --kernel-config --format' ;;
    'schema') words='--help' ;;
    'audit verify') words='--help --format' ;;
    'audit summary') words='--help --format' ;;
    'import oci-seccomp') words='--help --target --cap --exec' ;;
    'export bpf') words='--help --output --refuse --execve' ;;
    'export oci-seccomp') words='--help --output --refuse --execve' ;;
    'audit'*) words='verify summary' ;;
    'import'*) words='oci-seccomp' ;;
    'export'*) words='bpf oci-seccomp' ;;
    esac
  fi
  [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _bulkhead bulkhead
