/** Options of the process, of its connection to the API server, and of its log. */
import { option } from '../option.ts';
import { NOT_NEGATIVE, POSITIVE } from '../rules.ts';
import {
  BOOL,
  DURATION_OR_NANOSECONDS,
  FLOAT32,
  GATES,
  INT32,
  QUANTITY,
  STRING,
  UINT32,
  VMODULE,
  choice,
  textType,
} from '../value-types.ts';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
/** Content type of objects in JSON. */
export const JSON_CONTENT = 'application/json';

/** The feature gate that is looked at. */
export const WATCH_LIST = 'WatchListClient';

const UNUSED_ID = 'kube-proxy inherits it from a library and does not use it either';

/** What the process is to do. */
export const PROCESS = {
  configFile: option({
    type: textType('path'),
    default: '',
    flag: 'config',
    withFile: 'honoured',
    help: 'configuration file; watched. Most flags are ignored beside it',
  }),
  writeConfigTo: option({
    type: textType('path'),
    default: '',
    flag: 'write-config-to',
    withFile: 'honoured',
    help: 'write the effective configuration to this file and exit',
  }),
  cleanup: option({
    type: BOOL,
    default: false,
    flag: 'cleanup',
    withFile: 'honoured',
    help: 'remove all rules of the proxy and exit',
  }),
  initOnly: option({
    type: BOOL,
    default: false,
    flag: 'init-only',
    withFile: 'honoured',
    help: 'do only what needs full privileges, and exit',
  }),
  version: option({
    type: { ...STRING, name: 'version', bare: 'true' },
    default: 'false',
    flag: 'version',
    withFile: 'honoured',
    help: 'print the version and exit; vX.Y.Z, which kube-proxy reports as its own version, has no effect',
  }),
  bootIdFile: option({
    type: STRING,
    default: '/proc/sys/kernel/random/boot_id',
    flag: 'boot-id-file',
    withFile: 'honoured',
    help: 'files with the boot id',
    ignored: UNUSED_ID,
  }),
  machineIdFile: option({
    type: STRING,
    default: '/etc/machine-id,/var/lib/dbus/machine-id',
    flag: 'machine-id-file',
    withFile: 'honoured',
    help: 'files with the machine id',
    ignored: UNUSED_ID,
  }),
  featureGates: option({
    type: GATES,
    default: {},
    flag: 'feature-gates',
    field: 'featureGates',
    help: `feature gates of kube-proxy. ${WATCH_LIST} (default true) gets the first objects through the watch; the others have no effect, and those that are set are named in a warning`,
  }),
};

const FEW_REQUESTS =
  'there are four watches, whose retries back off, and Events, which have a pace of their own';

/** How the API server is reached. */
export const API = {
  kubeconfig: option({
    type: textType('path'),
    default: '',
    flag: 'kubeconfig',
    field: 'clientConnection.kubeconfig',
    help: 'kubeconfig file of the API server; without it and --master: the configuration of the pod',
  }),
  acceptContentTypes: option({
    type: STRING,
    default: '',
    field: 'clientConnection.acceptContentTypes',
    help: 'Accept header of requests',
    ignored: 'it follows from the content type',
  }),
  contentType: option({
    type: STRING,
    default: PROTOBUF,
    flag: 'kube-api-content-type',
    field: 'clientConnection.contentType',
    zeroIsDefault: true,
    rule: {
      expected: `${PROTOBUF} or ${JSON_CONTENT}`,
      keeps: (value) => value === PROTOBUF || value === JSON_CONTENT,
    },
    help: 'form in which objects are fetched',
  }),
  qps: option({
    type: FLOAT32,
    default: 5,
    flag: 'kube-api-qps',
    field: 'clientConnection.qps',
    zeroIsDefault: true,
    help: 'requests a second to the API server',
    ignored: FEW_REQUESTS,
  }),
  burst: option({
    type: INT32,
    default: 10,
    flag: 'kube-api-burst',
    field: 'clientConnection.burst',
    zeroIsDefault: true,
    rule: NOT_NEGATIVE,
    help: 'requests to the API server that may come at once',
    ignored: FEW_REQUESTS,
  }),
  master: option({
    type: textType('URL'),
    default: '',
    flag: 'master',
    withFile: 'wins',
    help: 'URL of the API server, instead of the one in the kubeconfig',
  }),
};

const NO_BUFFER = 'each line is written at once, to standard error';

/** What is logged, and how. */
export const LOGGING = {
  logFormat: option({
    type: choice<'text' | 'json'>({ '': 'text', text: 'text', json: 'json' }),
    default: 'text',
    flag: 'logging-format',
    field: 'logging.format',
    withFile: 'wins',
    help: 'form of log lines',
  }),
  logFlushFrequency: option({
    type: DURATION_OR_NANOSECONDS,
    default: 5000,
    flag: 'log-flush-frequency',
    field: 'logging.flushFrequency',
    withFile: 'wins',
    zeroIsDefault: true,
    rule: POSITIVE,
    help: 'longest time between two flushes of the log',
    ignored: NO_BUFFER,
  }),
  verbosity: option({
    type: UINT32,
    default: 0,
    flag: 'v',
    short: 'v',
    field: 'logging.verbosity',
    withFile: 'wins',
    help: 'verbosity of the log; 2 logs every change, 4 and more is for debugging',
  }),
  vmodule: option({
    type: VMODULE,
    default: [],
    flag: 'vmodule',
    field: 'logging.vmodule',
    withFile: 'wins',
    omitZero: true,
    help: 'verbosity of single parts: pattern=N,…; added to what the file says',
  }),
  logTextSplitStream: option({
    type: BOOL,
    default: false,
    flag: 'log-text-split-stream',
    field: 'logging.options.text.splitStream',
    withFile: 'wins',
    omitZero: true,
    help: 'info lines on standard output',
    ignored: NO_BUFFER,
  }),
  logTextInfoBufferSize: option({
    type: QUANTITY,
    default: '0',
    flag: 'log-text-info-buffer-size',
    field: 'logging.options.text.infoBufferSize',
    withFile: 'wins',
    help: 'bytes of info lines that are held back',
    ignored: NO_BUFFER,
  }),
  logJsonSplitStream: option({
    type: BOOL,
    default: false,
    flag: 'log-json-split-stream',
    field: 'logging.options.json.splitStream',
    withFile: 'wins',
    omitZero: true,
    help: 'info lines on standard output',
    ignored: NO_BUFFER,
  }),
  logJsonInfoBufferSize: option({
    type: QUANTITY,
    default: '0',
    flag: 'log-json-info-buffer-size',
    field: 'logging.options.json.infoBufferSize',
    withFile: 'wins',
    help: 'bytes of info lines that are held back',
    ignored: NO_BUFFER,
  }),
};
