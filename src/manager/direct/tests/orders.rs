//! Orders and what becomes of services, on real processes.

use super::*;
use crate::sense::procfs::read_stat;

#[tokio::test]
async fn nobody_started_it_and_nobody_is_told_that_it_failed() {
    let bench = Bench::new();
    for definition in [bench.foreground("sleep 1000"), bench.daemon("sleep 1000")] {
        let manager = bench.manager(definition);
        let status = look(&manager).await;
        assert_eq!((status.active, status.sub.as_str()), (ActiveState::Inactive, "dead"));
        assert!(matches!(status.invocation(), Reading::Absent(_)));
    }
}

#[tokio::test]
async fn the_first_news_asks_to_list() {
    let manager = Bench::new().manager(Bench::new().foreground("true"));
    assert!(matches!(manager.news().await, News::ListAgain));
}

async fn start_kill_and_start_again(definition: ServiceDefinition, result: ServiceResult, exit: MainExit) {
    let bench = Bench::new();
    let manager = bench.manager(definition);
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Done);
    let up = look(&manager).await;
    assert_eq!((up.active, up.sub.as_str()), (ActiveState::Active, "running"));
    assert!(service(&up).memory.value().is_some() && *service(&up).tasks.value().unwrap() > 0);
    kill(main_pid(&up), Signal::KILL);
    let failed = news_of_state(&manager, ActiveState::Failed).await;
    assert_eq!((service(&failed).result, service(&failed).exit), (result, exit));
    assert_eq!(run_of(&failed), run_of(&up));
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Done);
    let again = look(&manager).await;
    assert_eq!(again.active, ActiveState::Active);
    assert_ne!(run_of(&again), run_of(&up));
    clear(&manager).await;
}

#[tokio::test]
async fn a_killed_foreground_service_has_failed_by_its_signal() {
    let bench = Bench::new();
    start_kill_and_start_again(
        bench.foreground("exec sleep 1000"),
        ServiceResult::Signal,
        MainExit::Signal(9),
    )
    .await;
}

#[tokio::test]
async fn a_killed_daemon_has_failed_nobody_knows_how() {
    let bench = Bench::new();
    let unknown = ServiceResult::Other("unknown".into());
    start_kill_and_start_again(bench.daemon("sleep 1000"), unknown, MainExit::None).await;
}

#[tokio::test]
async fn exit_codes_are_told() {
    let bench = Bench::new();
    let manager = bench.manager(bench.foreground("exit 7"));
    obey(&manager, Order::Start).await;
    let failed = news_of_state(&manager, ActiveState::Failed).await;
    assert_eq!(
        (service(&failed).result, service(&failed).exit),
        (ServiceResult::ExitCode, MainExit::Code(7))
    );
}

#[tokio::test]
async fn a_foreground_service_that_ends_in_order_has_not_failed() {
    for (script, exit) in [("exit 0", MainExit::Code(0)), ("kill -TERM $$", MainExit::Signal(15))] {
        let bench = Bench::new();
        let manager = bench.manager(bench.foreground(script));
        obey(&manager, Order::Start).await;
        let ended = news(&manager, |news| match news {
            News::Changed(all) => all
                .iter()
                .find(|status| {
                    status.active == ActiveState::Inactive && status.invocation().value().is_some()
                })
                .cloned(),
            News::Removed(_) | News::JobEnded(_) | News::Reloading(_) | News::ListAgain | News::Lost(_) => {
                None
            }
        })
        .await;
        assert_eq!((service(&ended).result, service(&ended).exit), (ServiceResult::Success, exit));
    }
}

#[tokio::test]
async fn a_stop_by_order_is_a_stop() {
    let bench = Bench::new();
    for definition in [bench.foreground("exec sleep 1000"), bench.daemon("sleep 1000")] {
        let manager = bench.manager(definition);
        obey(&manager, Order::Start).await;
        let pid = main_pid(&look(&manager).await);
        assert_eq!(obey(&manager, Order::Stop).await, JobResult::Done);
        let status = look(&manager).await;
        assert_eq!(status.active, ActiveState::Inactive);
        assert!(read_stat(Path::new("/proc"), pid).unwrap().is_none_or(|stat| stat.is_dead()));
        let (start, stop) = (news_of_job(&manager).await, news_of_job(&manager).await);
        assert_eq!((start.job.kind, start.job.origin), (JobKind::Start, JobOrigin::Agent));
        assert_eq!((stop.job.kind, stop.job.origin), (JobKind::Stop, JobOrigin::Agent));
        // Even though its pid file may be there, and for one who comes later.
        drop(manager);
    }
    let later = bench.manager(bench.daemon("sleep 1000"));
    assert_eq!(look(&later).await.active, ActiveState::Inactive);
}

#[tokio::test]
async fn one_that_ignores_the_stop_is_killed() {
    let bench = Bench::new();
    let script = "trap '' TERM; touch READY; while :; do sleep 1000; done";
    let script = script.replace("READY", &bench.path("ready").display().to_string());
    let stop_timeout = Duration::from_millis(200);
    let manager = bench.manager(ServiceDefinition { stop_timeout, ..bench.foreground(&script) });
    obey(&manager, Order::Start).await;
    let pid = main_pid(&look(&manager).await);
    while !bench.path("ready").exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(obey(&manager, Order::Stop).await, JobResult::Done);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_hung_service_is_restarted() {
    let bench = Bench::new();
    let manager = bench.manager(bench.daemon("sleep 1000"));
    obey(&manager, Order::Start).await;
    let before = look(&manager).await;
    kill(main_pid(&before), Signal::STOP);
    assert_eq!(obey(&manager, Order::Restart).await, JobResult::Done);
    let after = look(&manager).await;
    assert_eq!(after.active, ActiveState::Active);
    assert_ne!(run_of(&before), run_of(&after));
    clear(&manager).await;
}

#[tokio::test]
async fn an_operators_stop_script_is_told_as_a_stop_job() {
    let bench = Bench::new();
    let definition = bench.daemon("sleep 1000");
    let manager = bench.manager(definition);
    obey(&manager, Order::Start).await;
    news_of_job(&manager).await;
    let up = look(&manager).await;
    // As init scripts do: the process first, its pid file when it is gone.
    kill(main_pid(&up), Signal::TERM);
    let settling = news_of_state(&manager, ActiveState::Deactivating).await;
    assert_eq!(run_of(&settling), run_of(&up));
    std::fs::remove_file(bench.path("pid")).unwrap();
    let event = news_of_job(&manager).await;
    assert_eq!((event.job.kind, event.job.origin), (JobKind::Stop, JobOrigin::Other));
    assert!(event.stopped_the_unit());
    assert_eq!(event.invocation_before, Reading::Value(run_of(&up)));
    assert_eq!(look(&manager).await.active, ActiveState::Inactive);
}

#[tokio::test]
async fn an_operators_start_is_noticed() {
    let bench = Bench::new();
    let definition = bench.daemon("sleep 1000");
    let start = definition.start.clone();
    let manager = bench.manager(definition);
    assert_eq!(look(&manager).await.active, ActiveState::Inactive);
    std::process::Command::new(&start[0]).args(&start[1..]).status().unwrap();
    news_of_state(&manager, ActiveState::Active).await;
    clear(&manager).await;
}

#[tokio::test]
async fn a_start_that_fails_has_failed_and_is_no_stop() {
    let bench = Bench::new();
    let pid_file = Some(bench.path("pid"));
    let definition = ServiceDefinition { pid_file, ..bench.definition("exit 5") };
    let manager = bench.manager(definition);
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Failed);
    let status = look(&manager).await;
    assert_eq!((status.active, service(&status).exit), (ActiveState::Failed, MainExit::Code(5)));
    let event = news_of_job(&manager).await;
    assert!(!event.stopped_the_unit());
}

#[tokio::test]
async fn a_start_whose_daemon_never_shows_times_out() {
    let bench = Bench::new();
    let start_timeout = Duration::from_millis(200);
    let definition =
        ServiceDefinition { pid_file: Some(bench.path("pid")), start_timeout, ..bench.definition("true") };
    let manager = bench.manager(definition);
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Timeout);
    assert_eq!(service(&look(&manager).await).result, ServiceResult::Timeout);
}

#[tokio::test]
async fn a_program_that_is_not_there_fails() {
    let bench = Bench::new();
    let start = vec!["/no/such/daemon".to_owned()];
    let manager = bench.manager(ServiceDefinition { start, ..bench.foreground("") });
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Failed);
    assert_eq!(look(&manager).await.active, ActiveState::Failed);
}

#[tokio::test]
async fn starting_what_runs_starts_nothing() {
    let bench = Bench::new();
    let manager = bench.manager(bench.foreground("exec sleep 1000"));
    obey(&manager, Order::Start).await;
    let first = run_of(&look(&manager).await);
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Done);
    assert_eq!(run_of(&look(&manager).await), first);
    clear(&manager).await;
}

#[tokio::test]
async fn a_reload_hangs_up_only_on_those_who_listen() {
    let bench = Bench::new();
    let deaf = bench.manager(bench.foreground("exec sleep 1000"));
    obey(&deaf, Order::Start).await;
    assert!(!service(&look(&deaf).await).can_reload);
    let refused = deaf.order(Order::Reload, &unit(), PATIENCE).await;
    assert!(matches!(refused, Err(ManagerError::Refused { .. })));
    assert_eq!(look(&deaf).await.active, ActiveState::Active);
    clear(&deaf).await;

    let (ready, done) = (bench.path("ready"), bench.path("done"));
    let script = format!(
        "trap 'touch {}' HUP; touch {}; while :; do sleep 0.01; done",
        done.display(),
        ready.display()
    );
    let bench = Bench::new();
    let hearing = bench.manager(bench.foreground(&script));
    obey(&hearing, Order::Start).await;
    while !ready.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(obey(&hearing, Order::Reload).await, JobResult::Done);
    while !done.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    clear(&hearing).await;
}

#[tokio::test]
async fn a_service_known_by_its_status_command() {
    let bench = Bench::new();
    let (up, dead) = (bench.path("up"), bench.path("dead"));
    let status = format!("test -e {} && exit 0; test -e {} && exit 1; exit 3", up.display(), dead.display());
    let definition = ServiceDefinition {
        status: Some(shell(&status)),
        stop: Some(shell(&format!("rm {}", up.display()))),
        ..bench.definition(&format!("touch {}", up.display()))
    };
    let manager = bench.manager(definition.clone());
    assert_eq!(look(&manager).await.active, ActiveState::Inactive);
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Done);
    let first = look(&manager).await;
    assert_eq!(first.active, ActiveState::Active);
    // It crashes.
    std::fs::rename(&up, &dead).unwrap();
    assert_eq!(look(&manager).await.active, ActiveState::Failed);
    assert_eq!(obey(&manager, Order::Start).await, JobResult::Done);
    let second = look(&manager).await;
    assert_ne!(run_of(&first), run_of(&second));
    // An agent that comes later knows the run.
    drop(manager);
    let manager = bench.manager(definition);
    assert_eq!(run_of(&look(&manager).await), run_of(&second));
    // An operator stops it.
    std::fs::remove_file(&dead).unwrap();
    std::fs::remove_file(&up).unwrap();
    assert_eq!(look(&manager).await.active, ActiveState::Inactive);
    assert!(news_of_job(&manager).await.stopped_the_unit());
}

#[tokio::test]
async fn the_log_gets_the_output_and_gives_its_last_lines() {
    let bench = Bench::new();
    let script = "for i in 1 2 3 4 5; do echo line $i; done; echo trouble >&2; exec sleep 1000";
    let definition = ServiceDefinition { log_file: Some(bench.path("log")), ..bench.foreground(script) };
    let manager = bench.manager(definition);
    obey(&manager, Order::Start).await;
    loop {
        let lines = manager.last_lines(&unit(), 3).await;
        if lines == Reading::Value(vec!["line 4".into(), "line 5".into(), "trouble".into()]) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    clear(&manager).await;
}

#[tokio::test]
async fn a_unit_that_is_not_there() {
    let bench = Bench::new();
    let manager = bench.manager(bench.foreground("true"));
    let other = UnitName::parse("other.service").unwrap();
    assert!(matches!(manager.look(&other).await, Err(ManagerError::NoSuchUnit(_))));
}

#[tokio::test]
async fn what_a_dead_service_left_behind_is_ended_before_the_next_start() {
    let bench = Bench::new();
    let worker = bench.path("worker");
    let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", worker.display());
    let manager = bench.manager(bench.foreground(&script));
    obey(&manager, Order::Start).await;
    while !worker.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let left: i32 = std::fs::read_to_string(&worker).unwrap().trim().parse().unwrap();
    let status = look(&manager).await;
    kill(main_pid(&status), Signal::KILL);
    news_of_state(&manager, ActiveState::Failed).await;
    let lives = || read_stat(Path::new("/proc"), left).unwrap().is_some_and(|stat| !stat.is_dead());
    assert!(lives());
    obey(&manager, Order::Start).await;
    if service(&status).control_group.value().is_some() {
        assert!(!lives());
    } else {
        kill(left, Signal::KILL);
    }
    clear(&manager).await;
}
