/** Options of the node, its health and its metrics. */
import { option } from '../option.ts';
import { IP_ADDRESS, LISTEN_ADDRESS } from '../rules.ts';
import { BOOL, INT32, STRING, textType } from '../value-types.ts';

/** Ports that kube-proxy listens on. */
export const HEALTHZ_PORT = 10_256;
export const METRICS_PORT = 10_249;

/** The minor version of Kubernetes before the one whose metrics ours are. */
const PREVIOUS_MINOR = '1.35';

/** Who this node is, and how it can be asked. */
export const SERVING = {
  hostnameOverride: option({
    type: STRING,
    default: '',
    defaultText: "the machine's host name",
    flag: 'hostname-override',
    field: 'hostnameOverride',
    withFile: 'wins',
    help: 'name of the Node this machine is',
  }),
  bindAddress: option({
    type: textType('IP'),
    default: '0.0.0.0',
    flag: 'bind-address',
    field: 'bindAddress',
    zeroIsDefault: true,
    rule: IP_ADDRESS,
    help: "the node's own address, in place of the one in the Node object; nothing listens on it",
  }),
  healthzBindAddress: option({
    type: textType('IP:port'),
    default: `0.0.0.0:${HEALTHZ_PORT}`,
    defaultText: `0.0.0.0:${HEALTHZ_PORT}; in a file with an IPv6 bindAddress [::]:${HEALTHZ_PORT}`,
    flag: 'healthz-bind-address',
    field: 'healthzBindAddress',
    zeroIsDefault: true,
    rule: {
      expected: LISTEN_ADDRESS.expected,
      keeps: (value) => value === '' || LISTEN_ADDRESS.keeps(value),
    },
    help: 'where health is told; the port may be left out',
  }),
  metricsBindAddress: option({
    type: textType('IP:port'),
    default: `127.0.0.1:${METRICS_PORT}`,
    defaultText: `127.0.0.1:${METRICS_PORT}; in a file with an IPv6 bindAddress [::1]:${METRICS_PORT}`,
    flag: 'metrics-bind-address',
    field: 'metricsBindAddress',
    zeroIsDefault: true,
    rule: {
      expected: `${LISTEN_ADDRESS.expected} (the metrics server cannot be turned off)`,
      keeps: (value) => LISTEN_ADDRESS.keeps(value),
    },
    help: 'where metrics are told; the port may be left out; cannot be turned off',
  }),
  bindAddressHardFail: option({
    type: BOOL,
    default: false,
    flag: 'bind-address-hard-fail',
    field: 'bindAddressHardFail',
    help: 'end when one of these addresses cannot be listened on',
  }),
  enableProfiling: option({
    type: BOOL,
    default: false,
    flag: 'profiling',
    field: 'enableProfiling',
    help: 'serve /debug/ beside the metrics',
  }),
  showHiddenMetricsForVersion: option({
    type: STRING,
    default: '',
    flag: 'show-hidden-metrics-for-version',
    field: 'showHiddenMetricsForVersion',
    rule: {
      expected: `"${PREVIOUS_MINOR}" or not set`,
      keeps: (value) => value === '' || value === PREVIOUS_MINOR,
    },
    help: 'show metrics that were hidden since this version of Kubernetes',
    ignored: 'no metric is hidden',
  }),
  healthzPort: option({
    type: INT32,
    default: HEALTHZ_PORT,
    flag: 'healthz-port',
    help: 'port of a healthz-bind-address without one; 0: no health server',
    deprecated: '--healthz-bind-address',
  }),
  metricsPort: option({
    type: INT32,
    default: METRICS_PORT,
    flag: 'metrics-port',
    help: 'port of a metrics-bind-address without one',
    deprecated: '--metrics-bind-address',
  }),
};
