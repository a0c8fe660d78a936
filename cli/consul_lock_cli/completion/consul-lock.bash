# bash completion of consul-lock.  The command answers with lines: kind, value, help.

_consul_lock_completion() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
            command) _consul_lock_command "$value" ;;
        esac
    done < <(_CONSUL_LOCK_COMPLETE=1 "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

# The last words are a command line of their own: so many, and the one that is typed.
_consul_lock_command() {
    local start=$((COMP_CWORD - $1))
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$start"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$start"
    else
        # Without the package bash-completion: names of commands, then of files.
        if (($1 == 0)); then
            mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
        fi
        compopt -o default
    fi
}

complete -F _consul_lock_completion consul-lock
