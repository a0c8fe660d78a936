# The guardian: waits beside a command for the end of the consul-lock that runs it.
#
#     sh guardian.sh PID group|alone START SIGNAL KILL_AFTER CONSUL_LOCK PYTHON
#
# START is when PID was started, as /proc says it, and "-" where nobody can tell; times are
# hundredths of a second; CONSUL_LOCK is the pid of consul-lock.  Its stdin is a pipe from there,
# and it has nothing else open.  A shell waits in a tenth of the memory of a Python.  Beyond
# waiting, guardian_takeover.py does everything; should that not run, such as in the middle of
# an upgrade, `stop` is what a shell can do of it.
#
# All of this is read before anything is done: an upgrade may overwrite it during the wait.

guard() {
    # They are blocked, but dash unblocks everything when it runs a program.
    trap '' HUP INT QUIT PIPE TERM USR1 USR2 TSTP TTIN TTOU
    # A timer inherited at the start; it cuts `read` off, so that the clock can be checked.
    trap 'tick=1' ALRM
    # The name in ps -o comm and top.
    printf lock-guardian >"/proc/$$/comm"
    lease='' tick=''
    while :; do
        if IFS= read -r said; then
            case $said in
                goodbye) return ;;
                suspended) lease= ;;
                lease*) lease=$said ;;
                *) break ;;
            esac
        elif [ "$tick" ]; then
            tick=
            if over; then said=$lease; break; fi
        else
            said=
            break
        fi
    done
    "$7" -P -S -m consul_lock_cli.process.guardian_takeover "$1" "$2" "$3" "$4" "$5" "$6" "$said" && return
    pid=$1 started=$3 left=$5
    case $2 in group) target=-$pid ;; *) target=$pid ;; esac
    stop "$4"
}

# The command may run till ACT of "lease ACT KILL": consul-lock should have stopped it before.
over() {
    # shellcheck disable=SC2086 # it is split on purpose
    [ "$lease" ] && set -- $lease && clock && [ "$up" -ge "$2" ]
}

# The clock of consul-lock.  In its first second the digits would look like an octal number.
clock() {
    read -r up _ </proc/uptime && case $up in 0.*) false ;; *) up=${up%.*}${up#*.} ;; esac
}

stop() {
    kill_at='' told=$said
    case $said in lease*) kill_at=${said##* } told='' said='' ;; esac
    # If it has been told already, consul-lock does the rest, as long as it lives and does not hang.
    while [ "$said" ]; do
        case $said in goodbye) return ;; esac
        kill_at=$said tick=
        if ! IFS= read -r said; then
            [ "$tick" ] || break
            if clock && [ "$up" -ge "$kill_at" ]; then break; fi
            said=$kill_at
        fi
    done
    if [ "$kill_at" ] && clock && [ $((kill_at - up)) -lt "$left" ]; then
        left=$((kill_at - up))
    fi
    if [ -z "$told" ]; then
        strike "$1"
        # What is stopped must run to see it.
        strike CONT
    fi
    while [ "$left" -gt 0 ] && strike 0; do pause; done
    # Again, as a member may fork at the moment of the first; in the end it is out of reach.
    left=1000
    while strike KILL && [ "$left" -gt 0 ]; do pause; done
}

pause() {
    # Not every sleep takes fractions.
    if sleep 0.2; then left=$((left - 20)); else sleep 1; left=$((left - 100)); fi
}

# Sends a signal; false if nobody is there any more.
strike() {
    is_the_command && kill "-$1" "$target"
}

# The pid may be somebody else's by now.
is_the_command() {
    case $started in -) return ;; esac
    if ! [ -e "/proc/$pid" ]; then
        # A group outlives its leader, and its number is not given away before it is empty.
        [ "$target" != "$pid" ]
        return
    fi
    # "pid (name) state ...", and the name may hold anything, such as a line break.
    stat=
    while IFS= read -r part; do stat="$stat $part"; done <"/proc/$pid/stat"
    # shellcheck disable=SC2086 # it is split on purpose
    set -- ${stat##*) }
    [ "${20}" = "$started" ]
}

guard "$@"; exit
