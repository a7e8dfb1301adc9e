//! What the manager tells of its units, and the host of its package manager.

use crate::model::{
    Absence, Bytes, Id128, InvocationId, JobOrigin, PackageManager, Reading, ServiceDetails, ServiceType,
    UnitDetails, UnitJob, UnitRelations, UnitStatus,
};

use super::{Hand, UnitIndex, World};

impl World {
    /// What the manager tells of a unit.
    #[must_use]
    pub fn status(&self, index: UnitIndex) -> UnitStatus {
        let unit = &self.units[index];
        let needs: Vec<UnitIndex> = unit.requires.iter().chain(&unit.binds_to).copied().collect();
        let names =
            |list: &[UnitIndex]| list.iter().map(|other| self.units[*other].name.clone()).collect::<Vec<_>>();
        let absent = || Absence::NotApplicable;
        let runs = unit.is_up();
        let after = needs.iter().chain(&unit.wants).copied().collect::<Vec<_>>();
        let service = ServiceDetails {
            service_type: ServiceType::Notify,
            restart: unit.restart,
            result: unit.result.clone(),
            exit: unit.exit,
            restarts: unit.restarts,
            restart_prevented: unit.restart_prevented && !runs,
            main_pid: if runs { Reading::Value(1000) } else { Reading::Absent(absent()) },
            control_group: Reading::Absent(absent()),
            memory: if runs { Reading::Value(Bytes(1 << 20)) } else { Reading::Absent(absent()) },
            tasks: Reading::Absent(absent()),
            cpu_time: Reading::Absent(absent()),
            can_reload: unit.can_reload,
        };
        UnitStatus {
            name: unit.name.clone(),
            load: unit.load,
            active: unit.active,
            sub: unit.sub.to_owned(),
            job: match unit.job {
                Some((id, kind, hand)) => Reading::Value(UnitJob { id, kind, origin: origin(hand) }),
                None => Reading::Absent(absent()),
            },
            details: Reading::Value(UnitDetails {
                invocation: reading(unit.invocation),
                file_state: unit.file_state.clone(),
                relations: UnitRelations {
                    requires: names(&needs),
                    wants: names(&unit.wants),
                    after: names(&after),
                    conflicts: names(&unit.conflicts),
                    required_by: names(&self.dependants(index)),
                    binds_to: names(&unit.binds_to),
                    part_of: names(&unit.part_of),
                },
                service: Reading::Value(service),
            }),
        }
    }

    /// The lock of the package manager, as the senses read it.
    #[must_use]
    pub fn package_lock(&self) -> Reading<PackageManager> {
        if self.package_manager {
            Reading::Value(PackageManager {
                lock: "/var/lib/dpkg/lock-frontend".into(),
                pid: Reading::Value(4242),
            })
        } else {
            Reading::Absent(Absence::NotApplicable)
        }
    }
}

pub(super) const fn origin(hand: Hand) -> JobOrigin {
    match hand {
        Hand::Agent => JobOrigin::Agent,
        Hand::Operator | Hand::Manager => JobOrigin::Other,
    }
}

/// The run's identity as the manager tells it.
#[must_use]
pub(in crate::sim) fn reading(invocation: Option<u64>) -> Reading<InvocationId> {
    match invocation {
        Some(number) => Reading::Value(InvocationId(Id128::from_bytes(u128::from(number).to_be_bytes()))),
        None => Reading::Absent(Absence::NotObserved),
    }
}
