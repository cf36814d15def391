use super::*;

fn key(name: &str) -> Key {
    Key::Namespace(name.into())
}

fn name(job: &Job) -> String {
    match &job.key {
        Key::Namespace(name) | Key::Baseline(name) | Key::Exception(name) | Key::PolicyReport(name) => name.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn keys_come_out_in_order_and_each_once() {
    let queue = Queue::default();
    for k in ["a", "b", "a", "c", "b"] {
        queue.push(key(k), Lane::Repair);
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let job = queue.next().await;
        seen.push(name(&job));
        queue.done(&job);
    }
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(queue.depth(Lane::Repair), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_worked_on_waits_until_it_is_given_back() {
    let queue = Queue::default();
    queue.push(key("a"), Lane::Repair);
    let first = queue.next().await;
    queue.push(key("a"), Lane::Repair);
    queue.push(key("a"), Lane::Report);
    queue.push(key("b"), Lane::Rollout);
    assert_eq!(name(&queue.next().await), "b");
    assert!(
        tokio::time::timeout(Duration::from_secs(5), queue.next())
            .await
            .is_err()
    );
    queue.done(&first);
    let again = queue.next().await;
    assert_eq!((name(&again), again.lane), ("a".to_owned(), Lane::Repair));
}

#[tokio::test(start_paused = true)]
async fn a_lane_tells_for_how_long_its_oldest_key_has_been_waiting() {
    let queue = Queue::default();
    assert_eq!(queue.oldest(Lane::Repair), Duration::ZERO);
    queue.push(key("a"), Lane::Repair);
    tokio::time::advance(Duration::from_secs(5)).await;
    queue.push(key("b"), Lane::Repair);
    queue.push(key("a"), Lane::Repair);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(queue.oldest(Lane::Repair), Duration::from_secs(7));
    assert_eq!(queue.oldest(Lane::Status), Duration::ZERO);
    let _a = queue.next().await;
    assert_eq!(queue.oldest(Lane::Repair), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_starves_no_other() {
    let queue = Queue::default();
    for i in 0..100 {
        queue.push(key(&format!("repair-{i}")), Lane::Repair);
    }
    queue.push(key("rollout"), Lane::Rollout);
    queue.push(key("report"), Lane::Report);
    let mut first = Vec::new();
    for _ in 0..70 {
        let job = queue.next().await;
        first.push(name(&job));
        queue.done(&job);
    }
    assert!(
        first.contains(&"rollout".to_owned()) && first.contains(&"report".to_owned()),
        "{first:?}"
    );
    assert_eq!(first[0], "repair-0");
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_has_no_turns_of_others_though_workers_ask_in_vain() {
    let queue = Queue::new(1);
    for i in 0..100 {
        queue.push(key(&format!("rollout-{i}")), Lane::Rollout);
        queue.push(Key::Baseline(format!("status-{i}").into()), Lane::Status);
    }
    let mut lanes = Vec::new();
    for _ in 0..2 * (48 + 4) {
        let job = queue.next().await;
        lanes.push(job.lane);
        let in_vain = tokio::time::timeout(Duration::from_millis(1), queue.next());
        assert!(in_vain.await.is_err(), "one at a time");
        queue.done(&job);
    }
    let round = [&[Lane::Rollout; 48][..], &[Lane::Status; 4]].concat();
    assert_eq!(lanes, [round.clone(), round].concat());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_repaired_again_and_again_is_reported_on_all_the_same() {
    let queue = Queue::default();
    let mut lanes = Vec::new();
    for _ in 0..12 {
        queue.push(key("a"), Lane::Repair);
        queue.push(key("a"), Lane::Report);
        let job = queue.next().await;
        lanes.push(job.lane);
        queue.done(&job);
    }
    let (repair, report) = (Lane::Repair, Lane::Report);
    let round = [repair, repair, repair, repair, report];
    assert_eq!(lanes, [&round[..], &round[..], &round[..2]].concat());
    // One whose report does not wait has nothing to let pass.
    let mut lanes = Vec::new();
    for _ in 0..10 {
        queue.push(key("b"), Lane::Repair);
        let job = queue.next().await;
        lanes.extend((job.key == key("b")).then_some(job.lane));
        queue.done(&job);
    }
    assert!(lanes.iter().all(|lane| *lane == Lane::Repair), "{lanes:?}");
}

#[tokio::test(start_paused = true)]
async fn repairs_do_not_wait_for_what_is_worked_on_already() {
    let queue = Queue::new(1);
    for k in ["a", "b"] {
        queue.push(key(k), Lane::Rollout);
    }
    let first = queue.next().await;
    let waits = tokio::time::timeout(Duration::from_secs(5), queue.next());
    assert!(waits.await.is_err(), "one at a time");
    queue.push(key("drifted"), Lane::Repair);
    assert_eq!(name(&queue.next().await), "drifted");
    queue.done(&first);
    // The repair still runs, and no more than one of another lane beside it.
    assert_eq!(name(&queue.next().await), "b");
    let waits = tokio::time::timeout(Duration::from_secs(5), queue.next());
    assert!(waits.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn however_many_repairs_there_are_one_key_of_another_lane_is_worked_on() {
    let queue = Queue::new(2);
    for i in 0..100 {
        queue.push(key(&format!("repair-{i}")), Lane::Repair);
    }
    let mut running = VecDeque::new();
    let fill = async |running: &mut VecDeque<Job>| {
        while let Ok(job) = tokio::time::timeout(Duration::from_millis(1), queue.next()).await {
            running.push_back(job);
        }
    };
    fill(&mut running).await;
    assert_eq!(running.len(), 2 + RESERVED);
    for name in ["rollout", "report"] {
        queue.push(key(name), if name == "rollout" { Lane::Rollout } else { Lane::Report });
        fill(&mut running).await;
        let others = |job: &Job| job.lane != Lane::Repair;
        assert_eq!(running.iter().filter(|job| others(job)).count(), 1, "{name}");
        // As workers do: what was taken first is done first, and the next repair begins.
        while let Some(job) = running.pop_front() {
            queue.done(&job);
            if others(&job) {
                break;
            }
            fill(&mut running).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_already_is_put_on_record_slowly_until_the_rollout_is_over() {
    let queue = Queue::new(16);
    for i in 0..6 {
        queue.push(key(&format!("rollout-{i}")), Lane::Rollout);
        queue.push(key(&format!("record-{i}")), Lane::Record);
    }
    let taken = async || {
        let mut jobs = Vec::new();
        while let Ok(job) = tokio::time::timeout(Duration::from_secs(1), queue.next()).await {
            jobs.push(job);
        }
        jobs
    };
    let first = taken().await;
    let of = |jobs: &[Job], lane: Lane| jobs.iter().filter(|job| job.lane == lane).count();
    assert_eq!((of(&first, Lane::Rollout), of(&first, Lane::Record)), (6, 1));
    first
        .iter()
        .filter(|job| job.lane == Lane::Rollout)
        .for_each(|job| queue.done(job));
    assert_eq!(of(&taken().await, Lane::Record), 5);
}

#[tokio::test(start_paused = true)]
async fn work_that_begins_now_is_what_was_to_be_done_later() {
    let queue = Queue::default();
    queue.push_after(key("a"), Lane::Repair, Duration::from_millis(20));
    queue.push(key("a"), Lane::Rollout);
    let job = queue.next().await;
    queue.push_after(key("a"), Lane::Repair, Duration::from_secs(1));
    queue.done(&job);
    let began = Instant::now();
    let job = queue.next().await;
    assert_eq!((name(&job).as_str(), began.elapsed()), ("a", Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_key_comes_when_it_is_due_and_not_before() {
    let queue = Queue::default();
    let start = Instant::now();
    queue.push_after(key("a"), Lane::Repair, Duration::from_secs(300));
    queue.push_after(key("a"), Lane::Repair, Duration::from_secs(3));
    queue.push_after(key("a"), Lane::Repair, Duration::from_secs(9));
    let job = queue.next().await;
    assert_eq!(start.elapsed().as_secs(), 3);
    queue.done(&job);
    assert!(
        tokio::time::timeout(Duration::from_secs(60), queue.next())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_that_fails_while_the_queue_is_drained_is_tried_again_once_a_second_and_waited_for() {
    let queue = std::sync::Arc::new(Queue::default());
    queue.push(key("a"), Lane::Report);
    let drained = tokio::spawn({
        let queue = queue.clone();
        async move { queue.drain().await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    for _ in 0..3 {
        let job = queue.next().await;
        queue.push_after(job.key.clone(), job.lane, Duration::from_secs(60));
        // Nothing else is begun any more.
        queue.push_after(job.key.clone(), Lane::Repair, Duration::ZERO);
        queue.done(&job);
        tokio::task::yield_now().await;
        assert!(!drained.is_finished());
    }
    assert_eq!(began.elapsed(), LAST_TRIES * 2);
    let job = queue.next().await;
    queue.done(&job);
    drained.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drained_queue_gives_out_nothing_more_and_waits_for_what_was_taken() {
    let queue = Arc::new(Queue::default());
    queue.push(key("a"), Lane::Repair);
    queue.push(key("b"), Lane::Repair);
    let job = queue.next().await;
    assert!(
        tokio::time::timeout(Duration::from_secs(1), queue.drain())
            .await
            .is_err()
    );
    assert!(
        tokio::time::timeout(Duration::from_secs(1), queue.next())
            .await
            .is_err()
    );
    queue.done(&job);
    queue.drain().await;
}

#[tokio::test]
async fn many_workers_share_the_queue_without_losing_a_key() {
    let queue = Arc::new(Queue::default());
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (queue, seen) = (queue.clone(), seen.clone());
            tokio::spawn(async move {
                loop {
                    let job = queue.next().await;
                    tokio::task::yield_now().await;
                    seen.lock().insert(name(&job));
                    queue.done(&job);
                }
            })
        })
        .collect();
    for i in 0..500 {
        queue.push(key(&i.to_string()), Lane::ALL[i % Lane::ALL.len()]);
    }
    tokio::time::timeout(Duration::from_secs(10), async {
        while seen.lock().len() < 500 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("every key is worked on");
    workers.iter().for_each(tokio::task::JoinHandle::abort);
}
