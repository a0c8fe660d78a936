"""Settings of one command: which of them it obeys."""

from __future__ import annotations

from tests.cli.command import Running
from tests.cli.cron_fixture import Job, job_fixture  # noqa: F401 - a fixture, used by its name
from tests.cli.isolated_home import NOWHERE, Home


def test_the_command_uses_the_settings_that_were_found(home: Home) -> None:
    """Not only `config` knows of it: its commands behave so, and the flag mends it."""
    home.write("[defaults]\nunavailable-exit-code = 44\n[consul]\nretry-for = 0\n")
    run = ("run", "--dry-run", "-k", "jobs/a", "--", "true")
    assert home.ask(*run, address=NOWHERE).returncode == 44
    code = {"CONSULLOCK_UNAVAILABLE_EXIT_CODE": "45"}
    assert home.ask(*run, address=NOWHERE, **code).returncode == 45
    flag = ("run", "--unavailable-exit-code", "46", *run[1:])
    assert home.ask(*flag, address=NOWHERE, **code).returncode == 46


def test_the_address_of_a_file_leads_to_consul(home: Home, address: str) -> None:
    """As a job of cron gets it, which has hardly any environment."""
    home.write(f'[consul]\nhttp-addr = "{address}"\n[key."cli/*"]\nwait = 0\n')
    result = home.run("run", "-k", "cli/from-a-file", "--", "sh", "-c", "echo $CONSUL_LOCK_HELD")
    assert (result.returncode, result.stdout) == (0, "true\n"), result.stderr


def test_nonblock_is_not_overruled_by_a_file(
    home: Home, holder: Running, key: str, address: str
) -> None:
    """-n on the command line beats the wait of a file, which else counts."""
    assert holder.running()
    home.write('[defaults]\nwait = "1h"\n')
    assert home.run("run", "-k", key, "-n", "--", "true", address=address).returncode == 75
    home.write(f'[defaults]\nwait = "1h"\n[key."{key}"]\nwait = 0\nconflict-exit-code = 9\n')
    assert home.run("run", "-k", key, "--", "true", address=address).returncode == 9


def test_help_reads_no_file(home: Home) -> None:
    """Nor does the version: with a broken file one still has to find out what to do."""
    home.write("broken")
    for arguments in (["--help"], ["run", "--help"], ["version"], ["completion", "bash"]):
        result = home.ask(*arguments, CONSULLOCK_TTL="junk")
        assert (result.returncode, result.stderr) == (0, "")


def test_the_variables_about_the_lock_are_no_settings(home: Home) -> None:
    """A nested run would take the key of its parent for its own, and wait for ever."""
    told = {"CONSUL_LOCK_KEY": "parent", "CONSUL_LOCK_TTL": "77", "CONSUL_LOCK_LIMIT": "9"}
    seen = home.settings(**told)
    assert seen["ttl"]["value"] == 10.0
    assert seen["limit"]["value"] == 1
    assert home.ask("run", "true", **told, CONSULLOCK_KEY="a").returncode == 64


def test_the_wait_of_an_acquire_is_not_that_of_the_command_wait(home: Home) -> None:
    """Of [key."jobs/*"] wait = 0 a job is meant, not a command that waits for it to end."""
    arguments = ("wait", "a", "--free", "--retry-for", "0")
    assert home.ask(*arguments, address=NOWHERE, CONSULLOCK_WAIT="junk").returncode == 69


def test_a_setting_that_means_nothing_for_a_job_does_not_disturb_it(home: Home, job: Job) -> None:
    """It was meant for locks, or for other jobs; and a job has its own table by its name."""
    home.write(
        '[defaults]\nwait = 0\ntimezone = "Europe/Berlin"\nearly = "1s"\nfail-open = true\n'
        'report = "never"\n'
        f'[consul]\nretry-for = 0\n[key."{job.name}"]\nretry-failed = 1\nskip-exit-code = 9\n'
    )
    fire = ("cron", "run", "--name", job.name, "--slot", "a", "--", "sh", "-c")
    for code in (41, 42, 9):
        done = home.run(*fire, "exit 4$CONSUL_LOCK_CRON_ATTEMPT", address=job.address)
        assert (done.returncode, done.stderr) == (code, "")
    away = home.run(*fire, "echo started", address=NOWHERE)
    assert (away.returncode, away.stdout) == (69, "")
    assert home.settings("-k", job.name)["retry-failed"]["value"] == 1
    home.write('[defaults]\noverlap = "maybe"\n')
    assert home.ask(*fire, "echo started", address=NOWHERE).returncode == 78


def test_several_values_of_a_variable_have_spaces_between_them(home: Home) -> None:
    """And those of a file are a list."""
    assert home.settings(CONSULLOCK_CHECK="a b")["check"]["value"] == ["a", "b"]
    home.write("[defaults]\ncheck = ['a b', 'c']\nmeta = 'k=v'\n")
    seen = home.settings()
    assert seen["check"]["value"] == ["a b", "c"]
    assert seen["meta"]["value"] == ["k=v"]
