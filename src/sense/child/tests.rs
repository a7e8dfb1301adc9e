#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "looks at the real children that it made")]

use std::time::Duration;

use super::*;

const PLENTY: Duration = Duration::from_secs(20);

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn shell(script: &str) -> Vec<String> {
    argv(&["/bin/sh", "-c", script])
}

async fn output(script: &str) -> ChildOutput {
    run(&Job::new(&shell(script), PLENTY)).await.unwrap()
}

fn text(captured: &Captured) -> String {
    String::from_utf8(captured.bytes.clone()).unwrap()
}

fn is_alive(pid: i32) -> bool {
    crate::sense::procfs::read_stat(Path::new("/proc"), pid).unwrap().is_some_and(|stat| !stat.is_dead())
}

/// Waits for what must come; a test that hangs is ended by its runner.
async fn until(mut what: impl FnMut() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn exit_codes_and_signals_are_answers() {
    assert_eq!(output("exit 0").await.exit, ChildExit::Code(0));
    assert_eq!(output("exit 3").await.exit, ChildExit::Code(3));
    assert_eq!(output("kill -SEGV $$").await.exit, ChildExit::Signal(11));
}

#[tokio::test]
async fn both_outputs_are_kept_apart() {
    let output = output("echo out; echo err >&2; exit 1").await;
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n".into(), "err\n".into()));
}

#[tokio::test]
async fn the_surroundings_are_clean() {
    let output = output("env | sort; pwd; umask; ls /proc/self/fd | wc -l").await;
    // The shell adds PWD (and others of its own) by itself.
    let told = text(&output.stdout);
    let told: Vec<_> = told
        .lines()
        .filter(|line| !["PWD", "OLDPWD", "SHLVL", "_"].contains(&line.split('=').next().unwrap()))
        .collect();
    // Standard streams, and the folder that ls reads.
    assert_eq!(told, ["LANG=C.UTF-8", &format!("PATH={CHILD_PATH}"), "/", "0077", "4"]);
}

#[tokio::test]
async fn extra_variables_and_input_reach_the_child() {
    let script = shell("cat; echo $WHAT");
    let job = Job::new(&script, PLENTY).with_stdin(b"given ").with_env(&[("WHAT", "news")]);
    assert_eq!(text(&run(&job).await.unwrap().stdout), "given news\n");
}

#[tokio::test]
async fn input_that_nobody_reads_does_not_hang() {
    let megabyte = vec![b'x'; 1 << 20];
    let script = shell("exit 4");
    let output = run(&Job::new(&script, PLENTY).with_stdin(&megabyte)).await.unwrap();
    assert_eq!(output.exit, ChildExit::Code(4));
}

#[tokio::test]
async fn output_is_bounded_and_the_child_is_not_blocked() {
    let output = output("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 5").await;
    assert_eq!(output.exit, ChildExit::Code(5));
    assert_eq!((output.stdout.bytes.len(), output.stdout.truncated), (CHILD_OUTPUT_MAX, true));
    assert_eq!((output.stderr.bytes.len(), output.stderr.truncated), (CHILD_OUTPUT_MAX, true));
}

#[tokio::test]
async fn a_deadline_kills_grandchildren_too() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "sleep 1000 & echo $! > {0}; sleep 1000 & echo $! >> {0}; echo why >&2; wait",
        pids.display()
    );
    let script = shell(&script);
    let job = Job::new(&script, Duration::from_millis(700));
    let Err(ChildError::TimedOut { stderr, .. }) = run(&job).await else { panic!("it must time out") };
    assert_eq!(text(&stderr), "why\n");
    let written = std::fs::read_to_string(&pids).unwrap();
    let grandchildren: Vec<i32> = written.lines().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(grandchildren.len(), 2);
    until(|| grandchildren.iter().all(|pid| !is_alive(*pid))).await;
}

#[tokio::test]
async fn a_grandchild_with_the_pipe_does_not_hang_the_call() {
    let output = output("sleep 1000 & echo $!").await;
    let grandchild: i32 = text(&output.stdout).trim().parse().unwrap();
    until(|| !is_alive(grandchild)).await;
}

#[tokio::test]
async fn a_grandchild_in_a_session_of_its_own_does_not_hang_the_call() {
    let output = output("setsid sleep 1000 & echo $!; exit 6").await;
    assert_eq!(output.exit, ChildExit::Code(6));
    let escaped: i32 = text(&output.stdout).trim().parse().unwrap();
    if place::scope().is_some_and(|scope| scope.remove()) {
        // The control group holds it all the same.
        until(|| !is_alive(escaped)).await;
    } else if let Some(pid) = Pid::from_raw(escaped) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

#[tokio::test]
async fn dropping_the_call_ends_the_child() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let script = shell(&format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", pid_file.display()));
    let job = Job::new(&script, PLENTY);
    let pid: i32 = {
        let call = run(&job);
        tokio::pin!(call);
        let started = until(|| pid_file.exists());
        tokio::select! {
            _ = &mut call => panic!("it sleeps"),
            () = started => std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap(),
        }
    };
    until(|| !is_alive(pid)).await;
    // Reaped, not left as a zombie.
    until(|| !Path::new(&format!("/proc/{pid}")).exists()).await;
}

#[tokio::test]
async fn programs_that_can_not_run_are_errors() {
    let fails = async |words: &[&str]| run(&Job::new(&argv(words), PLENTY)).await.unwrap_err();
    assert!(matches!(fails(&[]).await, ChildError::Empty));
    assert!(matches!(fails(&["no-such-program-anywhere"]).await, ChildError::NotFound(_)));
    assert!(matches!(fails(&["bin/true"]).await, ChildError::NotFound(_)));
    assert!(matches!(fails(&["/no/such/program"]).await, ChildError::Spawn { .. }));
    assert!(matches!(fails(&["/etc/passwd"]).await, ChildError::Spawn { .. }));
}

#[tokio::test]
async fn a_bare_name_is_found_on_the_fixed_path() {
    assert!(run(&Job::new(&argv(&["true"]), PLENTY)).await.unwrap().exit.success());
}

#[tokio::test]
async fn a_detached_daemon_outlives_its_handle_and_its_pid_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (record, log) = (dir.path().join("record"), dir.path().join("log"));
    let script = shell("echo started; exec sleep 1000");
    let home = Home { log: Some(log.clone()), cgroup: None };
    let file = std::fs::File::create(&record).unwrap();
    let daemon = spawn_detached(&Job::new(&script, PLENTY), &home, Some(file.into())).await.unwrap();
    let pid = daemon.pid();
    assert_eq!(std::fs::read_to_string(&record).unwrap(), format!("pid={pid:010}\n"));
    until(|| std::fs::read_to_string(&log).unwrap() == "started\n").await;
    drop(daemon);
    assert!(is_alive(pid));
    let raw = Pid::from_raw(pid).unwrap();
    // Its own session: the leader of its own group.
    assert_eq!(rustix::process::getsid(Some(raw)).unwrap(), raw);
    rustix::process::kill_process(raw, Signal::KILL).unwrap();
    until(|| !is_alive(pid)).await;
}

#[tokio::test]
async fn a_detached_daemon_can_be_reaped() {
    let mut daemon =
        spawn_detached(&Job::new(&shell("exit 7"), PLENTY), &Home::default(), None).await.unwrap();
    let watch = pidfd(Pid::from_raw(daemon.pid()).unwrap()).unwrap();
    let _ended = watch.readable().await.unwrap();
    assert_eq!(daemon.try_reap().unwrap(), Some(ChildExit::Code(7)));
}

#[tokio::test]
async fn a_starter_leaves_its_daemon_alone() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let script = shell(&format!("sleep 1000 & echo $! > {}", pid_file.display()));
    let exit = run_starter(&Job::new(&script, PLENTY), &Home::default()).await.unwrap();
    assert!(exit.success());
    let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    assert!(is_alive(pid));
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_log_that_could_be_a_trap_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("real"), "").unwrap();
    std::os::unix::fs::symlink(path("real"), path("link")).unwrap();
    assert!(open_log(&path("real")).is_ok());
    assert!(open_log(&path("new")).is_ok());
    assert!(open_log(&path("link")).is_err());
    assert!(open_log(dir.path()).is_err());
    assert!(open_log(Path::new("/dev/null")).is_err());
    std::fs::hard_link(path("real"), path("second")).unwrap();
    assert!(open_log(&path("second")).is_err());
}
