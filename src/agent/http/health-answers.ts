/** What kube-proxy's health port answers, byte for byte. */
import { type Answer, json } from './answer.ts';
import type { HealthReport } from './health-state.ts';
import { NEVER, rfc3339Nano } from './time-text.ts';

/**
 * `/healthz`: may this node get traffic from outside? `zoneMinutes` is what local time is ahead of UTC.
 * The body tells a sick proxy from a node that is not eligible.
 */
export function healthzAnswer(report: HealthReport, zoneMinutes: number): Answer {
  const isOk = report.isHealthy && report.isNodeEligible;
  return healthAnswer(report, zoneMinutes, isOk, { nodeEligible: report.isNodeEligible });
}

/** `/livez`: does this proxy work, whatever the node? */
export function livezAnswer(report: HealthReport, zoneMinutes: number): Answer {
  return healthAnswer(report, zoneMinutes, report.isHealthy, {});
}

function healthAnswer(
  { now, isHealthy, families }: HealthReport,
  zoneMinutes: number,
  isOk: boolean,
  eligibility: { readonly nodeEligible?: boolean },
): Answer {
  const time = (ms: number): string => rfc3339Nano(ms, zoneMinutes);
  const newest = Math.max(...families.map(({ lastUpdated }) => lastUpdated));
  const status = Object.fromEntries(
    families.map((family) => [
      family.family,
      { lastUpdated: time(family.lastUpdated), healthy: family.isHealthy },
    ]),
  );
  const body = {
    // Old clients look at the age of this one only: a proxy that is well always says now.
    lastUpdated: isOk ? time(now) : families.length === 0 ? NEVER : time(newest),
    currentTime: time(now),
    ...eligibility,
    healthy: isHealthy,
    ...(families.length > 0 && { status }),
  };
  return json(isOk ? 200 : 503, JSON.stringify(body));
}
