//! `securitybaseline.dev/v1alpha1`.

mod access;
mod baseline;
mod common;
mod exception;
mod ledger;
mod network;
mod pod_security;
mod report;
mod resources;
mod status;

pub use access::{Access, Binding, PolicyRule, Role, Subject, SubjectKind};
pub use baseline::{DeletionPolicy, Mode, Preflight, Rollout, SecurityBaseline, SecurityBaselineSpec};
pub use common::{LabelSelector, LabelSelectorRequirement, Quantity, ResourceList, SelectorOperator};
pub use exception::{
    BaselineException, BaselineExceptionSpec, BaselineExceptionStatus, ExceptionCondition, WaivedControl, WaivedHere,
    Waiver,
};
pub use ledger::{DriftLedger, DriftRecord, OpenDrift, TakenOver};
pub use network::{
    Direction, DnsPeers, IpBlock, NamedRule, NetworkEgressRule, NetworkIngressRule, NetworkIsolation, NetworkPeer,
    NetworkPort, Protocol,
};
pub use pod_security::{PodSecurity, PodSecurityLevel, PodSecurityStandard};
pub use report::{
    AdmittingLabel, AskedLess, BaselineReport, BaselineReportFields, BaselineReportStatus, ContestedObject,
    ControlReport, ControlState, EffectiveValue, HeldBaseline, InventoryEntry, LabelEntry, Note, WaivedItem,
};
pub use resources::{
    LimitRangeLimit, LimitRangeTemplate, LimitRanges, LimitType, QuotaScope, QuotaTemplate, ResourceQuotas,
    ScopeOperator, ScopeRequirement, ScopeSelector,
};
pub use status::{
    ConditionType, FieldProblem, NamespaceCounts, NamespaceFinding, NamespaceFindings, SecurityBaselineStatus,
};
