//! Disks that are full and folders that cannot be written.
//!
//! Mounting a small disk takes rights that a container may not give even to root;
//! limits on the size of a file and another user are used beside it.

use super::*;

/// A page: what a small file takes of a disk in memory.
const PAGE_BYTES: u64 = 4096;

/// A disk in memory, unmounted when dropped.
struct Disk(TempDir);

impl Disk {
    /// None, saying so, where this process may not mount.
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
        mount.arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: no right to mount a disk here");
        }
        mounted.then(|| Self(folder))
    }

    fn folder(&self) -> TempDir {
        TempDir::new_in(self.0.path()).unwrap()
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-o", &options]).arg(self.0.path()).status();
        assert!(mounted.unwrap().success(), "{option}");
    }

    /// Fills the disk but for that many pages.
    fn leave(&self, pages: u64) {
        let path = self.0.path().join("filler");
        let mut filler = fs::File::create(path).unwrap();
        let page = vec![0; PAGE_BYTES as usize];
        let mut bytes = 0_u64;
        while filler.write_all(&page).is_ok() {
            bytes += PAGE_BYTES;
        }
        filler
            .set_len(bytes.saturating_sub(pages * PAGE_BYTES))
            .unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }

    /// Limits the files to those that there are and that many more.
    fn leave_files(&self, more: u64) {
        let mut df = Command::new("df");
        let df = df
            .arg("--output=iused")
            .arg(self.0.path())
            .output()
            .unwrap();
        let used: u64 = stdout(&df).lines().nth(1).unwrap().trim().parse().unwrap();
        self.remount(&format!("nr_inodes={}", used + more));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left is a disk in memory with nothing on it.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

/// Runs a command with ever the least room that lets it come further, until it
/// has done its work: each of its writes fails in one run. How many runs failed.
fn squeeze(
    clouds: &Clouds,
    leave: impl Fn(u64),
    arguments: &[&str],
    between: impl Fn(&Output),
) -> usize {
    let (mut room, mut failed, mut before) = (0, 0, String::new());
    loop {
        leave(room);
        let output = clouds.command(arguments).output().unwrap();
        between(&output);
        if output.status.code() == Some(0) {
            return failed;
        }
        failed += 1;
        assert!(failed < 300, "{}", stderr(&output));
        let said = failed_well(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("No space left on device"), "{said}");
        assert!(
            said.contains("free some space") || said.contains("put that right"),
            "{said}"
        );
        if said == before {
            room += 1;
        }
        before = said;
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let Some(disk) = Disk::new() else { return };
    let clouds = Clouds::settings(disk.folder());
    let free = |_: &Output| disk.free();
    let full = |pages| disk.leave(pages);
    let failed = squeeze(&clouds, full, &["init"], free);
    assert!(failed > 10, "{failed} runs of init failed");

    let mut sealed = Vec::new();
    for round in 0..2 {
        let mut failures = [0, 0];
        for cloud in CLOUDS {
            let name = format!("{cloud}-{round}.json");
            clouds.write(&name, format!("{{\"event\":\"{name}\"}}").as_bytes());
            let seal = ["seal", "--chain", cloud, &name];
            failures[0] += squeeze(&clouds, full, &seal, |output| {
                disk.free();
                clouds.verified_if_sealed();
                assert!(output.status.code() == Some(0) || stdout(output).is_empty());
            });
            sealed.push((cloud, name));
        }
        failures[1] += squeeze(&clouds, full, &["anchor"], |_| {
            disk.free();
            clouds.verified_if_sealed();
        });
        eprintln!("{failures:?} runs of seal and anchor failed for want of room");
        assert!(failures[0] >= 6 && failures[1] >= 12, "{failures:?}");
    }

    // The same with files: a disk may have no room for another name.
    let few = |files| disk.leave_files(files);
    let unlimited = |_: &Output| disk.remount("nr_inodes=100000");
    let name = "few.json";
    clouds.write(name, br#"{"event":"few.json"}"#);
    let mut failed = squeeze(&clouds, few, &["seal", "--chain", "aws", name], unlimited);
    failed += squeeze(&clouds, few, &["anchor"], unlimited);
    sealed.push(("aws", name.to_owned()));
    assert!(failed > 10, "{failed}");

    // Reports and proofs.
    disk.leave(0);
    for output in [
        &["verify", "--output", "report"][..],
        &["prove", "--chain", "aws", "--index", "1", "-o", "proof"],
    ] {
        let output = clouds.expect(2, output);
        assert!(failed_well(&output).contains("No space left"));
    }
    disk.free();
    clouds.expect(0, &["anchor"]);
    clouds.verified();
    for (cloud, name) in sealed {
        let records = clouds.records(cloud);
        let of_name = records.values().filter(|line| line.contains(&name));
        assert_eq!(of_name.count(), 1, "{name}");
    }
}

impl Clouds {
    /// Asserts that what stands is verified, as far as chains have begun.
    fn verified_if_sealed(&self) {
        for cloud in CLOUDS {
            let segments = self.path(format!("{cloud}/sealed/segments"));
            if !segments.exists() || files(&segments).is_empty() {
                return;
            }
        }
        self.verified();
    }
}

#[test]
fn a_file_that_may_grow_no_more_loses_nothing() {
    let clouds = Clouds::new();
    let mut failures = 0;
    for round in 0..2 {
        clouds.write("event.json", format!("{{\"round\":{round}}}").as_bytes());
        for arguments in [&["seal", "--chain", "gcp", "event.json"][..], &["anchor"]] {
            for blocks in 0.. {
                // Ignored, the signal becomes an error of the write.
                let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                let binary = clouds.command(&[]).get_program().to_owned();
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(script).arg(binary).args(arguments);
                let output = shell.current_dir(clouds.0.path()).output().unwrap();
                if output.status.code() == Some(0) {
                    break;
                }
                failures += 1;
                let said = failed_well(&output);
                assert_eq!(output.status.code(), Some(2), "{said}");
                assert!(said.contains("raise the limit"), "{said}");
                assert_eq!(
                    stdout(&output)
                        .lines()
                        .filter(|line| line.starts_with("sealed"))
                        .count(),
                    0
                );
            }
        }
    }
    assert!(failures > 3, "{failures}");
    for cloud in ["aws", "azure"] {
        clouds.expect(0, &["seal", "--chain", cloud, "event.json"]);
    }
    clouds.expect(0, &["anchor"]);
    clouds.verified();
    let records = clouds.records("gcp");
    let ours = records.values().filter(|line| line.contains("\"round\""));
    assert_eq!(ours.count(), 2);
}

#[test]
fn a_disk_mounted_for_reading_is_named() {
    let Some(disk) = Disk::new() else { return };
    let clouds = Clouds::begun(disk.folder());
    cannot_be_written(&clouds, "mount the file system for writing", |arguments| {
        disk.remount("ro");
        let output = clouds.command(arguments).output().unwrap();
        disk.remount("rw");
        output
    });
}

#[test]
fn another_users_folder_is_named() {
    let clouds = Clouds::new();
    // The folders and the program of this test may be closed to others.
    let copy = clouds.path("countersign");
    fs::copy(binary().get_program(), &copy).unwrap();
    let open = |path: &Path, mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(path, permissions).unwrap();
    };
    open(clouds.0.path(), 0o755);
    for key in files(&clouds.path("keys")) {
        let mut chown = Command::new("chown");
        if !chown
            .arg("65534")
            .arg(&key)
            .output()
            .is_ok_and(|output| output.status.success())
        {
            eprintln!("skipped: no right to act as another user here");
            return;
        }
    }
    let other = |program: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(program).current_dir(clouds.0.path());
        command
    };
    if !other(&copy)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("skipped: no right to act as another user here");
        return;
    }
    cannot_be_written(&clouds, "give this user", |arguments| {
        other(&copy).args(arguments).output().unwrap()
    });
}

/// What every command says where nothing can be written; `run` sees to that.
fn cannot_be_written(clouds: &Clouds, next: &str, run: impl Fn(&[&str]) -> Output) {
    for round in 0..2 {
        clouds.write("event.json", format!("{{\"round\":{round}}}").as_bytes());
        for cloud in CLOUDS {
            let seal = ["seal", "--chain", cloud, "event.json"];
            let output = run(&seal);
            let said = failed_well(&output);
            assert_eq!(output.status.code(), Some(2));
            assert!(
                said.contains(&format!("{cloud}/sealed")) && said.contains(next),
                "{said}"
            );
            assert_eq!(stdout(&output), "");
            clouds.expect(0, &seal);
        }
        let output = run(&["anchor"]);
        assert_eq!(output.status.code(), Some(2));
        let said = failed_well(&output);
        assert!(said.contains(next), "{said}");
        clouds.expect(0, &["anchor"]);
        // Reading is all that these do.
        for reads in [
            &["verify"][..],
            &["log"],
            &["prove", "--chain", "aws", "--index", "1"],
        ] {
            let output = run(reads);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        }
        for output in [
            &["verify", "--output", "report"][..],
            &["prove", "--chain", "aws", "--index", "1", "-o", "proof"],
        ] {
            let said = failed_well(&run(output));
            assert!(said.contains("report") || said.contains("proof"), "{said}");
        }
        failed_well(&run(&["init"]));
    }
    clouds.verified();
}
