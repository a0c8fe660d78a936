#compdef consul-lock
# zsh completion of consul-lock.  The command answers with lines: kind, value, help.

_consul_lock_completion() {
    local line
    local -a plain described parts
    (( $+commands[consul-lock] )) || return 1
    for line in "${(@f)$(_CONSUL_LOCK_COMPLETE=1 consul-lock "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        parts=("${(@ps:\t:)line}")
        case $parts[1] in
            plain)
                if [[ -n $parts[3] ]]; then
                    described+=("${parts[2]//:/\\:}:$parts[3]")
                else
                    plain+=("$parts[2]")
                fi ;;
            file) _files ;;
            dir) _files -/ ;;
            command)
                # The last words are a command line of their own: so many, and the one that is typed.
                words=("${(@)words[CURRENT-parts[2],-1]}")
                (( CURRENT = parts[2] + 1 ))
                _normal ;;
        esac
    done
    (( $#described )) && _describe consul-lock described
    (( $#plain )) && compadd -a plain
}

# As a file in $fpath this is the body of a function of that name; otherwise it is sourced once.
if [[ $funcstack[1] == _consul-lock ]]; then
    _consul_lock_completion "$@"
else
    compdef _consul_lock_completion consul-lock
fi
