"""The tests of the installed command, and which of them shows which promise.

A promise is a line; what shows it is indented below it, as ``file: test``, and test_promises.py
looks whether that is there.

Exit codes and arguments
  Success is silent and leaves no session and no key
    commands/test_run: test_success_is_silent_and_leaves_nothing
  The exit code is the command's, and the report distinguishes its 75 from that of consul-lock
    commands/test_run: test_the_exit_code_is_the_commands_and_the_lock_is_free
    run/test_status_file: test_the_code_of_the_command_is_told_from_that_of_consul_lock
  A command that dies of a signal: consul-lock dies of it too, without a core
    commands/test_run: test_the_exit_code_is_the_commands_and_the_lock_is_free
    process/test_supervisor: test_a_command_that_dies_of_segv_leaves_no_core_of_consul_lock
  126 and 127 in one line, with a hint, and the lock is free at once
    commands/test_run: test_the_exit_code_is_the_commands_and_the_lock_is_free
    run/test_result: test_a_command_that_cannot_be_run_is_reported_with_what_to_do
  Options end at the command
    commands/test_run: test_options_end_at_the_command
  Misuse, bad names and bad durations are 64 before any traffic
    options/test_misuse: test_misuse_is_64_with_one_line_and_a_hint
    options/test_misuse: test_no_client_is_loaded_before_consul_is_asked
    options/test_types: test_a_bad_name_is_refused_with_a_better_one
    base/test_durations: test_a_time_that_is_not_finite_is_refused
  Times that contradict each other are 64, naming both
    options/test_misuse: test_times_that_contradict_each_other_are_named
  Odd names and odd bytes arrive as they are
    commands/test_run: test_odd_names_are_kept_as_they_are
    commands/test_run: test_arguments_reach_the_command_byte_by_byte
  A closed stdout does not keep the command from running
    commands/test_run: test_closed_streams_do_not_matter
  A bug is 70 in one line, a system without room 71, a session that the server refuses 73
    run/test_consul_unavailable: test_an_error_that_nobody_thought_of_is_70_in_one_line
    run/test_consul_unavailable: test_a_system_without_room_for_a_process_is_71
    run/test_consul_unavailable: test_a_session_that_the_server_does_not_accept_is_73
  -q leaves out hints, and nothing else
    options/test_misuse: test_quiet_leaves_the_hint_out_and_nothing_else

Waiting
  A held lock with -n is 75, names the holder, and leaves no session; -w 0 is -n
    run/test_acquire: test_a_held_lock_is_75_and_names_the_holder
    run/test_acquire: test_giving_up_leaves_no_session
    run/test_acquire: test_giving_up_costs_about_as_much_as_a_quick_job
  -E is obeyed
    run/test_acquire: test_the_conflict_code_can_be_chosen
  A waiter dies of a signal at once; its session is gone, and the command never ran
    run/test_acquire: test_a_waiter_dies_of_a_signal_at_once
    run/test_acquire: test_a_waiter_that_is_killed_never_runs_the_command
  A release lets the waiter start; a destroyed session does after the lock-delay, and -v says so
    run/test_acquire: test_a_waiter_starts_when_the_holder_ends
    run/test_acquire: test_a_waiter_is_handed_the_lock
    run/test_live_line: test_the_lines_report_a_lock_delay
  Errors of the server are retried while waiting
    run/test_consul_unavailable: test_errors_are_retried_while_waiting
  Waiting for an ancestor of the command is 64; other keys and free slots are fine
    run/test_acquire: test_a_nested_run_of_another_key_is_fine
    run/test_lock_kinds: test_waiting_for_a_lock_of_an_ancestor_is_refused
    run/test_ancestors: test_two_that_exclude_each_other_would_deadlock
    run/test_ancestors: test_all_slots_of_ancestors_are_a_deadlock
  A plain value, another limit or another kind is 65, and nothing is left behind
    commands/test_run: test_a_plain_value_at_the_key_is_never_overwritten
    run/test_lock_kinds: test_another_kind_of_lock_is_65_and_leaves_nothing

Signals, groups, terminals
  TERM that is trapped: the command's code counts, and it gets TERM once; else it is killed in time
    process/test_supervisor: test_term_is_seen_once_and_the_code_after_it_counts
    process/test_supervisor: test_a_command_that_ignores_term_is_killed_after_the_grace
  Other signals reach the command, and consul-lock goes on
    process/test_supervisor: test_other_signals_reach_the_command_and_consul_lock_goes_on
  Under nohup a hangup is ignored by both
    process/test_inherited: test_under_nohup_a_hangup_has_no_effect
  A stubborn grandchild is killed, and only then the lock is released
    process/test_supervisor: test_grandchildren_are_gone_before_consul_lock_ends
    commands/test_run: test_the_lock_is_released_only_when_the_group_is_gone
  KILL of consul-lock: the group is stopped; of the guardian too: the command dies; SIGSTOP: in time
    process/test_guardian: test_if_consul_lock_is_killed_the_whole_group_gets_one_term
    process/test_guardian: test_the_command_dies_though_the_guardian_is_killed_too
    run/test_loss: test_while_consul_lock_is_stopped_nobody_else_begins_beside_the_command
  Killed before the command runs: it never does; TERM then is 143, and the lock is free
    process/test_guardian: test_a_command_that_was_never_started_never_is
    run/test_locked_command: test_a_stop_before_the_command_runs_keeps_it_from_running
  A daemon that left the group goes on, without a descriptor of consul-lock
    process/test_supervisor: test_a_daemon_that_left_the_group_goes_on
  At a terminal: input, the keys that interrupt, full screens, modes, jobs of the shell
    process/test_terminal: test_the_command_reads_what_is_typed
    process/test_terminal: test_a_typed_interrupt_ends_the_command_and_consul_lock
    process/test_terminal: test_a_full_screen_program_is_usable
    process/test_terminal: test_the_modes_of_the_terminal_survive_a_killed_command
    process/test_terminal: test_a_background_command_can_be_fetched
    process/test_terminal: test_the_command_can_be_stopped_and_continued
  Under timeout(1) the command is gone when the time is over
    process/test_supervisor: test_under_timeout_the_command_is_gone_in_time
  SIGCHLD and SIGPIPE that are ignored at the start: it works, and the command has its own PIPE
    process/test_inherited: test_signals_ignored_at_the_start_stay_ignored
    process/test_supervisor: test_the_command_dies_of_a_broken_pipe

Losing the lock
  A destroyed session, or a deleted key: TERM, 76, and no session is left
    run/test_loss: test_a_lock_that_is_taken_away_stops_the_command
    run/test_loss: test_a_loss_beats_the_code_of_the_command
  A value that somebody writes over that of the holder is no loss, and a warning
    run/test_loss: test_a_foreign_value_under_the_same_session_is_no_loss
  A clock that is stepped by a day changes nothing
    run/test_loss: test_a_clock_that_is_stepped_by_a_day_is_nothing
  An agent that dies and is back within five seconds is no loss
    run/test_loss: test_an_agent_that_dies_and_is_back_soon_costs_nothing
  Eight seconds without a leader are no loss
    run/test_consul_unavailable: test_errors_under_the_lock_are_no_loss
  --on-lost warn: the command's code, and a warning
    run/test_loss: test_a_loss_can_be_a_warning_only
  A frozen agent: the command is dead before the lock-delay could end
    run/test_loss: test_a_frozen_agent_costs_the_lock_in_time

Server, TLS, ACL
  Refused is 69 after --retry-for, and nothing is started
    run/test_consul_unavailable: test_nobody_there_is_69_after_the_time_for_retries
    commands/test_run: test_without_consul_the_command_never_starts
  --fail-open runs it with CONSUL_LOCK_HELD=false and a warning
    run/test_consul_unavailable: test_fail_open_runs_it_without_the_lock_and_says_so
    run/test_consul_unavailable: test_fail_open_is_for_a_consul_out_of_reach_only
  A token without the rights is 77 with the rule; one without agent:read will do
    run/test_consul_unavailable: test_a_token_without_rights_is_77_with_the_rule_that_it_needs
    run/test_consul_unavailable: test_the_rights_for_sessions_and_keys_are_enough
  http to https, https to http, and a wrong CA are 78 with a hint
    run/test_consul_unavailable: test_http_to_a_server_of_https_is_78
    run/test_consul_unavailable: test_https_to_a_server_of_http_is_78
    run/test_consul_unavailable: test_a_certificate_that_is_not_trusted_is_78
  No token in ps, in messages, in the report, or (unless it came from there) the environment
    run/test_consul_unavailable: test_the_rights_for_sessions_and_keys_are_enough
    commands/test_run: test_a_token_that_came_as_an_option_is_not_passed_on
  A flag beats the environment, and a bad variable is 78 and named
    commands/test_run: test_an_option_beats_the_environment
    settings/test_sources: test_a_bad_variable_is_78_and_is_named
  A password in an address is refused and never shown
    commands/test_config: test_a_secret_in_an_address_is_never_shown
  A configuration file that is wrong does not end the doctor
    doctor/test_settings: test_a_broken_file_is_a_finding_and_not_the_end

Cron
  Each slot is run once, whatever the hosts' clocks say; on the others nothing happens
    commands/cron/test_run: test_the_first_host_runs_it_and_the_others_are_silent
    cron/test_job: test_hosts_whose_clocks_differ_run_each_slot_once
  A clock that is stepped back between firing and label, and --splay, make no difference
    commands/cron/test_run: test_a_clock_that_is_stepped_back_after_the_firing_makes_no_difference
    commands/cron/test_run: test_the_slot_is_that_of_the_firing_whatever_comes_after_it
  Where the clocks are set back, --every 1h runs 25 times that day
    spec/test_cron: test_the_long_day_of_autumn_has_25_slots
  The answer is lost, and then the server gone: 69, and nobody runs it
    commands/cron/test_failures: test_when_the_answer_is_lost_and_then_the_server_nothing_is_run
    commands/cron/test_failures: test_an_answer_that_is_lost_costs_nothing
  A job that takes longer than its period never runs beside itself, and no slot is burnt
    commands/cron/test_run: test_while_a_run_is_alive_the_next_slot_is_skipped_and_not_burnt
    commands/cron/test_run: test_with_overlap_wait_the_next_slot_is_run_when_the_run_has_ended
    commands/cron/test_run: test_with_overlap_allow_runs_are_beside_each_other
  A record that is garbage, newer or foreign is 65, and is not overwritten
    commands/cron/test_failures: test_a_foreign_record_is_65_and_is_not_overwritten
  A record too far ahead is 78 and names the host
    commands/cron/test_failures: test_a_record_that_is_too_far_ahead_is_78_and_names_the_host
  Paused: 0 and silent
    cron/test_job: test_a_pause_is_silent
  The end cannot be recorded: the command's code, and a warning
    commands/cron/test_failures: test_an_end_that_cannot_be_recorded_is_a_warning
  An ID is run once
    cron/test_job: test_an_id_is_run_once
  A host that is killed loses its slot; --retry-crashed repeats it once all of it is dead
    commands/cron/test_failures: test_a_host_that_dies_loses_its_slot_and_the_next_one_is_run
    commands/cron/test_failures: test_a_crashed_run_is_repeated_once_by_one_when_all_of_it_is_dead
  A signal ends who waits or stands by, and nothing of it is left
    commands/cron/test_failures: test_term_while_it_waits_ends_it_at_once
  Without Consul nothing is run, unless it may run everywhere
    commands/cron/test_failures: test_without_consul_nothing_is_run_unless_it_may_run_everywhere

Completion
  With a dead agent it is quick and silent
    completion/test_answer: test_a_dead_agent_costs_a_second_and_no_message
    completion/test_answer: test_a_frozen_agent_is_not_waited_for
  Files and the command are completed, by shells as they are installed
    completion/test_answer: test_a_shell_completes_a_line
    completion/test_answer: test_fish_completes_a_line

Operator
  break without a terminal and without --yes is 64
    commands/test_break: test_no_hold_is_broken_without_a_message
  break tells who and why: the one who lost it, and those who look
    commands/test_break: test_the_author_and_reason_of_a_break_are_shown
    commands/test_break: test_every_holder_gets_the_reason_of_its_own_break
  break hits nobody who came after the look
    commands/test_break: test_a_holder_that_has_changed_is_not_hit
    commands/test_break: test_a_hold_that_changes_during_the_confirmation_is_not_broken
  ls of 10 000 keys takes a moment; foreign values are shown, escape sequences escaped
    commands/test_ls: test_ten_thousand_keys
    commands/test_ls: test_the_locks_below_a_prefix
    commands/test_ls: test_escape_sequences_are_escaped
    output/test_lock_table: test_nothing_that_others_write_moves_the_cursor
  ls | head -1 ends without a traceback
    commands/test_ls: test_a_reader_that_has_enough_is_no_error
  With --json all is JSON, errors too
    commands/test_ls: test_errors_are_json_too
    output/test_data_command: test_an_error_is_json_too
  NO_COLOR, TERM=dumb and a pipe: no escape sequences
    output/test_lock_table: test_colours_are_for_terminals_that_want_them
    commands/test_ls: test_colours_are_for_terminals_that_want_them
  Completion with a dead agent is over in a moment and says nothing
    completion/test_answer: test_a_dead_agent_costs_a_second_and_no_message

By construction, and shown by no test: a name cannot have a NUL, as no argument can.
"""
