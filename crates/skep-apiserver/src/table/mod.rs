//! How `kubectl get` shows objects.
#[derive(Debug)]
pub(crate) struct Columns {}
macro_rules! none { ($($name:ident)*) => { $(pub(crate) static $name: Columns = Columns {};)* } }
none!(DEFAULT_COLUMNS NAMESPACES NODES PODS SERVICES ENDPOINTS CONFIG_MAPS SECRETS PERSISTENT_VOLUME_CLAIMS
 PERSISTENT_VOLUMES EVENTS DEPLOYMENTS REPLICA_SETS JOBS HORIZONTAL_POD_AUTOSCALERS POD_DISRUPTION_BUDGETS INGRESSES
 ENDPOINT_SLICES LEASES);
