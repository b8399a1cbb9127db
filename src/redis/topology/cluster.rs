//! The map of a cluster: what its nodes say of all slots, and of one by MOVED and ASK.

use std::time::Instant;

use redis::Value;

use super::discovery::{CLUSTER_PERIOD, News};
use super::slots::{self, Range, SLOTS};
use super::{Part, ServerId, Shard, Topology, Way};
use crate::reason::Reason;
use crate::redis::endpoint::Address;

impl Topology {
    pub(super) fn take_slots(
        &mut self,
        id: ServerId,
        reply: &Value,
        now: Instant,
    ) -> Result<News, Reason> {
        let taken = self.try_take_slots(id, reply, now);
        self.forget_others(now);
        taken
    }

    fn try_take_slots(
        &mut self,
        id: ServerId,
        reply: &Value,
        now: Instant,
    ) -> Result<News, Reason> {
        let asked = self.server(id).map(|known| known.address.clone()).ok_or(Reason::Topology)?;
        let ranges =
            slots::ranges(reply, &asked, self.resolves).filter(|ranges| !ranges.is_empty());
        let ranges = ranges.ok_or(Reason::Topology)?;
        let mut slots = vec![None; usize::from(SLOTS)];
        let mut shards: Vec<Shard> = Vec::new();
        for Range { slots: (first, last), servers } in &ranges {
            let (primary, replicas) = servers.split_first().ok_or(Reason::Topology)?;
            let primary = self.find_or_add(primary, Part::Replica).ok_or(Reason::Topology)?;
            let replicas: Vec<ServerId> =
                replicas.iter().filter_map(|at| self.find_or_add(at, Part::Replica)).collect();
            let place = shards.iter().position(|shard| shard.primary == primary);
            let place = place.unwrap_or_else(|| {
                shards.push(Shard { primary, replicas });
                shards.len() - 1
            });
            let place = u16::try_from(place).map_err(|_| Reason::Topology)?;
            let range = usize::from(*first)..=usize::from(*last);
            slots.get_mut(range).unwrap_or_default().fill(Some(place));
        }
        let covered = slots.iter().filter(|place| place.is_some()).count();
        let is_new = |way: &Way| matches!(way, Way::Cluster { slots: old, .. } if *old != slots);
        let changed = self.shards != shards || is_new(&self.way);
        self.shards = shards;
        self.way = Way::Cluster { slots, covered };
        self.discovery.succeeded(now, CLUSTER_PERIOD);
        let serving = self.shards.iter().map(|shard| 1 + shard.replicas.len()).sum();
        Ok(if changed { News::Slots(serving, covered) } else { News::Nothing })
    }

    /// A server of a cluster says that a slot has moved to another; the map is asked for soon.
    pub fn moved(&mut self, slot: u16, to: &Address, now: Instant) -> Option<ServerId> {
        self.discovery.hurry(now);
        let id = self.pointed_at(to, now)?;
        let Way::Cluster { slots, covered } = &mut self.way else { return None };
        let place = self.shards.iter().position(|shard| shard.primary == id);
        let place = place.unwrap_or_else(|| {
            self.shards.push(Shard { primary: id, replicas: Vec::new() });
            self.shards.len() - 1
        });
        let before = slots.get_mut(usize::from(slot))?.replace(u16::try_from(place).ok()?);
        *covered += usize::from(before.is_none());
        if let Some(Some(known)) = self.known.get_mut(id) {
            self.changed |= known.part != Part::Primary;
            known.part = Part::Primary;
        }
        Some(id)
    }

    /// A server of a cluster says that a key is at another one for this once.
    pub fn asking(&mut self, at: &Address, now: Instant) -> Option<ServerId> {
        self.pointed_at(at, now)
    }

    fn pointed_at(&mut self, address: &Address, now: Instant) -> Option<ServerId> {
        let id = self.find_or_add(address, Part::Seed)?;
        if let Some(Some(known)) = self.known.get_mut(id) {
            known.pointed_at = Some(now);
        }
        Some(id)
    }
}
