use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const V2: &str = "29 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const V1: &str = "\
    30 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
    33 25 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:12 master:3 - cgroup cgroup rw,memory\n";

/// A tree of files in the system's temporary folder, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("larder-cgroup-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let tree = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&tree.0).expect("the temporary folder can be written");
        for (file, content) in files {
            let path = tree.0.join(file);
            let folder = path.parent().expect("below the tree");
            fs::create_dir_all(folder).expect("the temporary folder can be written");
            fs::write(path, content).expect("the temporary folder can be written");
        }
        tree
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Checks what is found in a tree of `files`, as pairs of used and limit.
#[track_caller]
fn check(cgroup: &str, mountinfo: &str, files: &[(&str, &str)], expected: &[(u64, u64)]) {
    let tree = Tree::new(files);
    let found: Vec<_> =
        limited_groups(&tree.0, cgroup, mountinfo).iter().map(|group| (group.used, group.limit)).collect();
    assert_eq!(found, expected);
}

#[test]
fn without_a_limit() {
    check(
        "0::/app\n",
        V2,
        &[
            ("sys/fs/cgroup/app/memory.max", "max\n"),
            ("sys/fs/cgroup/app/memory.high", "max\n"),
            ("sys/fs/cgroup/app/memory.current", "1000\n"),
        ],
        &[],
    );
    check(
        "4:memory:/app\n",
        V1,
        &[
            ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "1000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854710272\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n"),
        ],
        &[],
    );
}

#[test]
fn version_2_counts_the_working_set() {
    check(
        "0::/app\n",
        V2,
        &[
            ("sys/fs/cgroup/app/memory.max", "5000\n"),
            ("sys/fs/cgroup/app/memory.current", "4000\n"),
            ("sys/fs/cgroup/app/memory.stat", "anon 900\nfile 3000\ninactive_file 2500\nactive_file 500\n"),
        ],
        &[(1500, 5000)],
    );
}

#[test]
fn version_2_with_a_tighter_parent() {
    check(
        "0::/pod/app/worker\n",
        V2,
        &[
            ("sys/fs/cgroup/pod/app/worker/memory.max", "max\n"),
            ("sys/fs/cgroup/pod/app/worker/memory.current", "100\n"),
            ("sys/fs/cgroup/pod/app/memory.max", "9000\n"),
            ("sys/fs/cgroup/pod/app/memory.current", "200\n"),
            ("sys/fs/cgroup/pod/memory.max", "3000\n"),
            ("sys/fs/cgroup/pod/memory.current", "2900\n"),
        ],
        &[(200, 9000), (2900, 3000)],
    );
}

#[test]
fn high_below_max_is_the_limit() {
    let files = |high| {
        [
            ("sys/fs/cgroup/app/memory.max", "5000"),
            ("sys/fs/cgroup/app/memory.high", high),
            ("sys/fs/cgroup/app/memory.current", "4000"),
        ]
    };
    check("0::/app", V2, &files("4500"), &[(4000, 4500)]);
    check("0::/app", V2, &files("6000"), &[(4000, 5000)]);
    // Written to make the system reclaim, not to limit.
    check("0::/app", V2, &files("0"), &[(4000, 5000)]);
}

#[test]
fn version_1() {
    check(
        "9:name=systemd:/\n8:cpu,cpuacct:/wrong\n4:hugetlb,memory:/slice/app:with:colons\n",
        V1,
        &[
            ("sys/fs/cgroup/memory/slice/app:with:colons/memory.limit_in_bytes", "5000"),
            ("sys/fs/cgroup/memory/slice/app:with:colons/memory.usage_in_bytes", "4000"),
            (
                "sys/fs/cgroup/memory/slice/app:with:colons/memory.stat",
                "inactive_file 1\nhierarchical_memory_limit 4500\ntotal_inactive_file 1000\n",
            ),
            ("sys/fs/cgroup/memory/slice/memory.limit_in_bytes", "7000"),
            ("sys/fs/cgroup/memory/slice/memory.usage_in_bytes", "6000"),
            ("sys/fs/cgroup/memory/slice/memory.stat", "inactive_file 2000\n"),
        ],
        &[(3000, 4500), (4000, 7000)],
    );
}

#[test]
fn both_versions_at_once() {
    let hybrid = format!("{V1}38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    check(
        "4:memory:/app\n0::/app\n",
        &hybrid,
        &[
            ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "5000"),
            ("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "4000"),
            ("sys/fs/cgroup/unified/app/cgroup.procs", "1"),
        ],
        &[(4000, 5000)],
    );
}

#[test]
fn a_container_sees_its_own_group_at_the_top() {
    let files = [("sys/fs/cgroup/memory.max", "5000"), ("sys/fs/cgroup/memory.current", "4000")];
    // With the host's names: the mount shows the group itself, or an ancestor of it.
    let shows = "29 22 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    check("0::/docker/abc\n", shows, &files, &[(4000, 5000)]);
    check("0::/docker/abc/inner\n", shows, &files, &[(4000, 5000)]);
    // With names of another namespace, and with none at all.
    check("0::/elsewhere\n", shows, &files, &[(4000, 5000)]);
    check("0::/../../other\n", V2, &files, &[(4000, 5000)]);
    check("0::/\n", V2, &files, &[(4000, 5000)]);
}

#[test]
fn escaped_names() {
    let spaced = "29 22 0:26 / /mnt/my\\040groups rw - cgroup2 cgroup2 rw\n";
    check(
        "0::/app (deleted)\n",
        spaced,
        &[("mnt/my groups/app/memory.max", "5000"), ("mnt/my groups/app/memory.current", "4000")],
        &[(4000, 5000)],
    );
    assert_eq!(unescape("a\\040b\\011c\\012d\\134e"), "a b\tc\nd\\e");
}

#[test]
fn garbage_is_no_limit() {
    let garbage = ["", "\n", "many", "-5", "0", "1e9", "5000 bytes", "99999999999999999999999", "\u{0}"];
    for text in garbage {
        let max = ("sys/fs/cgroup/app/memory.max", text);
        check("0::/app", V2, &[max, ("sys/fs/cgroup/app/memory.current", "1")], &[]);
    }
    let max = ("sys/fs/cgroup/app/memory.max", "5000");
    for text in garbage.into_iter().filter(|text| *text != "0") {
        check("0::/app", V2, &[max, ("sys/fs/cgroup/app/memory.current", text)], &[]);
        // Without a usable statistic everything counts as in use.
        let stat = format!("inactive_file {text}\n");
        check(
            "0::/app",
            V2,
            &[max, ("sys/fs/cgroup/app/memory.current", "9"), ("sys/fs/cgroup/app/memory.stat", &stat)],
            &[(9, 5000)],
        );
    }
    // More was reclaimable a moment later than was in use before.
    check(
        "0::/app",
        V2,
        &[
            max,
            ("sys/fs/cgroup/app/memory.current", "9"),
            ("sys/fs/cgroup/app/memory.stat", "inactive_file 10"),
        ],
        &[(0, 5000)],
    );
}

#[test]
fn odd_lists_show_nothing() {
    let files = [("sys/fs/cgroup/memory.max", "5000"), ("sys/fs/cgroup/memory.current", "4000")];
    for cgroup in ["", "\n\n", "0", "0:", "x:y", "1:cpu:/", ":::::", "0:memory"] {
        check(cgroup, V2, &files, &[]);
    }
    for mountinfo in
        ["", " - ", "- cgroup2", "29 22 0:26 - cgroup2 cgroup2 rw", "a b c d - cgroup2", " - cgroup x"]
    {
        check("0::/", mountinfo, &files, &[]);
    }
    // A folder where a file should be, and a tree that is not there.
    check("0::/", V2, &[("sys/fs/cgroup/memory.max/file", "5000")], &[]);
    check("0::/", V2, &[], &[]);
}

#[test]
fn this_process_is_read_without_a_panic() {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    for group in limited_groups(Path::new("/"), &read("/proc/self/cgroup"), &read("/proc/self/mountinfo")) {
        assert!(group.limit > 0);
    }
}

#[test]
fn groups_that_count_their_events_come_from_the_innermost_outwards() {
    let tree = Tree::new(&[
        ("sys/fs/cgroup/memory.stat", "inactive_file 0\n"),
        ("sys/fs/cgroup/app/memory.events", "low 0\nhigh 3\nmax 7\noom 1\noom_kill 0\n"),
        ("sys/fs/cgroup/app/worker/memory.events", "low 0\nhigh 3\nmax 5\noom 0\noom_kill 0\n"),
        ("sys/fs/cgroup/app/worker/memory.events.local", "low 0\nhigh 0\nmax 4\noom 0\noom_kill 0\n"),
        ("sys/fs/cgroup/odd/memory.events", "max many\n"),
    ]);
    let found = event_groups(&tree.0, "0::/app/worker\n", V2);
    let top = tree.0.join("sys/fs/cgroup");
    assert_eq!(found, [top.join("app/worker"), top.join("app")]);
    // What is counted below it is not counted twice, where the kernel tells them apart.
    assert_eq!(found.iter().map(|group| times_at_limit(group)).collect::<Vec<_>>(), [Some(4), Some(7)]);
    for (cgroup, mounts) in [("", V2), ("4:memory:/app\n", V1), ("0::/app\n", V1), ("0::/gone\n", V2)] {
        assert!(event_groups(&tree.0, cgroup, mounts).is_empty(), "{cgroup}");
    }
    assert_eq!((times_at_limit(&top), times_at_limit(&top.join("odd"))), (None, None));
}
