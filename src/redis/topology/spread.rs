//! Keys spread over servers by weight: every key belongs to the server with the highest score for
//! it, so that a server that comes or goes moves its own keys alone, and every nginx comes to the
//! same answer (weighted rendezvous hashing).

use md5::{Digest, Md5};

/// The hash that scores are made of: the first 64 bits of the MD5, the same on every machine.
pub fn hash_of(bytes: &[u8]) -> u64 {
    Md5::digest(bytes).iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

/// The score of a server for a key.
pub fn score(key: u64, server: u64, weight: u32) -> f64 {
    let mixed = mix(key ^ server.rotate_left(32));
    // 53 bits, so that the number is exact; never 0, whose logarithm is none.
    let unit = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(weight) / -unit.ln()
}

/// The finalizer of `SplitMix64`.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(key: usize, servers: &[(&str, u32)]) -> usize {
        let key = hash_of(key.to_string().as_bytes());
        let scores =
            servers.iter().map(|(name, weight)| score(key, hash_of(name.as_bytes()), *weight));
        scores.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap().0
    }

    #[test]
    fn shares_follow_the_weights_and_only_the_keys_of_a_lost_server_move() {
        let servers = [("10.0.0.1:6379", 1), ("10.0.0.2:6379", 2), ("10.0.0.3:6379", 1)];
        let owners: Vec<usize> = (0..10_000).map(|key| owner(key, &servers)).collect();
        for (server, share) in [(0, 2500), (1, 5000), (2, 2500)] {
            let count = owners.iter().filter(|owner| **owner == server).count();
            assert!(count.abs_diff(share) < 200, "{server}: {count}");
        }
        for (key, before) in owners.iter().enumerate().filter(|(_, owner)| **owner != 2) {
            assert_eq!(owner(key, &servers[..2]), *before);
        }
    }

    #[test]
    fn the_hash_is_frozen() {
        assert_eq!(hash_of(b"page:http://www.example.com/"), 2_595_217_518_486_126_978);
    }
}
