/** Traffic of Services, told as many series. */
import type { Counter, Gauge } from 'prom-client';
import type { ServiceCounters } from '../../planes/plane.ts';
import { labelsText } from './exposition.ts';
import { type TrafficMetricName, TRAFFIC_METRICS } from './switchyard-definitions.ts';
import { type Samples, ToldSeries } from './told-series.ts';

/** Where traffic is read, and how much of it is told. */
export interface TrafficOptions {
  readonly read: () => Promise<readonly ServiceCounters[]>;
  /** Most Service ports (each family counted) in an answer; each has five series. */
  readonly maxPorts: number;
}

const SAMPLES: Readonly<Record<TrafficMetricName, Samples<ServiceCounters>>> = {
  switchyard_service_connections_total: ({ connections }) => [['', connections]],
  switchyard_service_packets_total: ({ packetsIn, packetsOut }) => [
    [',direction="in"', packetsIn],
    [',direction="out"', packetsOut],
  ],
  switchyard_service_bytes_total: ({ bytesIn, bytesOut }) => [
    [',direction="in"', bytesIn],
    [',direction="out"', bytesOut],
  ],
};

/** Series of Services. */
export function serviceTraffic(
  { read, maxPorts }: TrafficOptions,
  failures: Counter,
  leftOut: Gauge,
): ToldSeries<ServiceCounters, TrafficMetricName> {
  return new ToldSeries({
    read,
    metrics: TRAFFIC_METRICS,
    samples: SAMPLES,
    labelsOf: ({ namespace, name, port, family }) =>
      labelsText({ namespace, name, port, ip_family: family }),
    sizeOf: () => 1,
    room: maxPorts,
    failures,
    leftOut,
  });
}
