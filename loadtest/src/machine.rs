//! The operating system: file limits, ports, and what a process takes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::options::Failure;

/// Files besides viewers' sockets.
const OTHER_FILES: u64 = 64;
/// Ports for outgoing connections where the system does not say.
const PORTS: u32 = 28_000;

/// Raises the file limit to the hard limit.
///
/// # Errors
///
/// [`Failure::Usage`] if that is not enough.
pub(crate) fn raise_file_limit(viewers: u32) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let needed = u64::from(viewers) + OTHER_FILES;
    match files {
        Some(files) if files < needed => Err(Failure::Usage(format!(
            "the file limit is {files}, and {viewers} viewers need {needed}: raise it (ulimit -n)"
        ))),
        _ => Ok(()),
    }
}

/// The own addresses to connect from, in turn; none: as the system chooses. On loopback as many are taken as
/// the viewers need.
///
/// # Errors
///
/// [`Failure::Usage`] names the ceiling that the ports set.
pub(crate) fn sources(given: &[IpAddr], server: IpAddr, viewers: u32) -> Result<Vec<IpAddr>, Failure> {
    let ports = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| ports(&range))
        .unwrap_or(PORTS);
    choose_sources(given, server, viewers, ports)
}

fn choose_sources(given: &[IpAddr], server: IpAddr, viewers: u32, ports: u32) -> Result<Vec<IpAddr>, Failure> {
    let mut sources = given.to_vec();
    // Linux looks through every second port first: beyond half of them each connection takes it milliseconds.
    let needed = viewers.div_ceil((ports / 3).max(1));
    let loopback = matches!(server, IpAddr::V4(address) if address.is_loopback());
    if sources.is_empty() && loopback && needed > 1 && cfg!(target_os = "linux") {
        let own = (1..=needed).map(|last| IpAddr::V4(Ipv4Addr::from(0x7f00_0000 + last)));
        sources.extend(own);
    }
    let ceiling = ports.saturating_mul(sources.len().max(1) as u32);
    if viewers > ceiling {
        return Err(Failure::Usage(format!(
            "from {} address(es) there are ports for {ceiling} viewers: name more with --source",
            sources.len().max(1)
        )));
    }
    Ok(sources)
}

fn ports(range: &str) -> Option<u32> {
    let mut ends = range.split_whitespace().map(str::parse::<u32>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    last.checked_sub(first).map(|ports| ports + 1)
}

/// A process on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Resident memory, bytes.
    pub(crate) fn memory(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1_024)
    }

    /// CPU time so far, seconds.
    pub(crate) fn cpu(self) -> Option<f64> {
        self.times().map(|times| times.user + times.system)
    }

    /// CPU time so far, in the process's own code and in the kernel for it.
    pub(crate) fn times(self) -> Option<Times> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        // The name in brackets may hold anything; utime and stime are the 12th and 13th words behind it.
        let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let seconds = |word: usize| {
            let ticks: u64 = words.get(word)?.parse().ok()?;
            Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
        };
        Some(Times {
            user: seconds(11)?,
            system: seconds(12)?,
        })
    }
}

/// CPU time of a process, seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_memory_and_cpu() {
        let own = Process(std::process::id());
        assert!(own.memory().expect("is told") > 1 << 20);
        assert!(own.cpu().expect("is told") >= 0.0);
        assert_eq!(Process(u32::MAX).memory(), None);
    }

    #[test]
    fn a_port_range_is_counted_with_both_ends() {
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        assert_eq!(ports("nonsense"), None);
    }

    #[test]
    fn loopback_has_as_many_addresses_as_are_needed() {
        let choose = |given: &[&str], server: &str, viewers| {
            let given: Vec<IpAddr> = given.iter().map(|address| address.parse().unwrap()).collect();
            let sources = choose_sources(&given, server.parse().unwrap(), viewers, 30_000);
            sources.map(|sources| sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(choose(&[], "127.0.0.1", 10_000), Ok(String::new()));
        assert_eq!(
            choose(&[], "127.0.0.1", 20_001),
            Ok("127.0.0.1 127.0.0.2 127.0.0.3".to_owned())
        );
        assert_eq!(choose(&["127.0.0.9"], "127.0.0.1", 20_001), Ok("127.0.0.9".to_owned()));
        assert_eq!(choose(&[], "192.0.2.1", 30_000), Ok(String::new()));
        let beyond = choose(&[], "192.0.2.1", 30_001).unwrap_err().to_string();
        assert!(
            beyond.contains("30000 viewers") && beyond.contains("--source"),
            "{beyond}"
        );
    }
}
