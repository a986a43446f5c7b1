//! Network addresses as the core may know them: enough to count by, too little to find the person.

use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest, Sha256};

use crate::room::audience::Address;

/// An IPv4 address, or the /64 of an IPv6 address, keyed and masked.
pub(super) fn keyed(secret: &[u8; 32], address: IpAddr) -> Address {
    let address = address.to_canonical();
    let (bytes, masked) = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            (v4.octets().to_vec(), format!("{a}.{b}.{c}.x"))
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            let shown = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
            (v6.octets()[..8].to_vec(), format!("{shown}/48"))
        }
    };
    let hash = Sha256::new().chain_update(secret).chain_update(&bytes).finalize();
    let key = hash.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte));
    Address { key, masked }
}

#[cfg(test)]
mod tests {
    use super::keyed;

    fn of(text: &str) -> crate::room::audience::Address {
        keyed(&[1; 32], text.parse().expect("an address"))
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1").key, of("2001:db8:1:3::1").key);
        assert_eq!(of("2001:db8:1:2::1").masked, "2001:db8:1::/48");
    }

    #[test]
    fn ipv4_addresses_count_one_by_one_however_they_are_written() {
        assert_ne!(of("203.0.113.7").key, of("203.0.113.8").key);
        assert_eq!(of("203.0.113.7"), of("::ffff:203.0.113.7"));
        assert_eq!(of("203.0.113.7").masked, "203.0.113.x");
    }
}
