# fish completion of consul-lock.  The command answers with lines: kind, value, help.

function _consul_lock_completion
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (_CONSUL_LOCK_COMPLETE=1 consul-lock $words[2..-1] "$current" 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case plain
                printf '%s\t%s\n' $parts[2] $parts[3]
            case file
                __fish_complete_path "$current"
            case dir
                __fish_complete_directories "$current"
            case command
                # The last words are a command line of their own: so many, and the one that is typed.
                set -l inner
                if test $parts[2] -gt 0
                    set inner (string escape -- $words[(math -$parts[2])..-1])
                end
                complete --do-complete="$(string join ' ' -- $inner "$current")"
        end
    end
end

complete --no-files --command consul-lock --arguments '(_consul_lock_completion)'
