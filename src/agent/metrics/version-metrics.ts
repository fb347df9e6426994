/** Metrics that never change: what is running, with which features, with how many metrics. */
import { KUBE_PROXY } from '../kube-proxy.ts';
import type { MetricsMode } from './definition.ts';
import { registeredMetrics } from './definitions.ts';
import type { MetricSet } from './metric-set.ts';

/** One of Kubernetes' feature gates. */
export interface FeatureGate {
  readonly name: string;
  /** `ALPHA`, `BETA`, `DEPRECATED`, or `''` for one that is generally available. */
  readonly stage: string;
  readonly enabled: boolean;
}

/** `git_version` of `kubernetes_build_info`. Build metadata (semver.org, 10) names what this really is. */
function gitVersion(version: string): string {
  return `${KUBE_PROXY.version}+switchyard.${version}`;
}

/** Sets them, once. `version` is Switchyard's. */
export function setVersionMetrics(
  set: MetricSet,
  mode: MetricsMode,
  version: string,
  featureGates: readonly FeatureGate[],
): void {
  const { major, minor } = KUBE_PROXY;
  const build = {
    build_date: '',
    compiler: '',
    git_commit: '',
    git_tree_state: '',
    git_version: gitVersion(version),
    go_version: '',
    major,
    minor,
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
  set.gauge('kubernetes_build_info').set(build, 1);
  setModeMetric(set, mode, version);
  for (const { name, stage, enabled } of featureGates) {
    set.gauge('kubernetes_feature_enabled').set({ name, stage }, enabled ? 1 : 0);
  }
  const registered = set.counter('registered_metrics_total');
  for (const { help } of registeredMetrics(mode)) {
    const stability_level = /^\[([A-Z]+)\]/.exec(help)?.[1];
    if (stability_level !== undefined) registered.inc({ deprecated_version: '', stability_level });
  }
}

/** Says which mode runs, in the place of the one before. `version` is Switchyard's. */
export function setModeMetric(set: MetricSet, mode: MetricsMode, version: string): void {
  const info = set.gauge('switchyard_build_info');
  info.reset();
  info.set({ mode, node_version: process.version, version }, 1);
}
