/** Rules that several rows of the table share. */
import { parseListenAddress, parseSloppyAddress, parseSloppyCidr } from './addresses.ts';
import type { Rule } from './option.ts';

/** A number between two, or these. */
export function between(min: number, max: number): Rule<number> {
  return {
    expected: `from ${min} to ${max}`,
    keeps: (value) => value >= min && value <= max,
  };
}

/** 0 or more, for numbers and durations. */
export const NOT_NEGATIVE: Rule<number> = {
  expected: '0 or more',
  keeps: (value) => value >= 0,
};

/** More than 0, for numbers and durations. */
export const POSITIVE: Rule<number> = {
  expected: 'more than 0',
  keeps: (value) => value > 0,
};

/** An address of either family. */
export const IP_ADDRESS: Rule<string> = {
  expected: 'an IP address',
  keeps: (value) => parseSloppyAddress(value) !== undefined,
};

/** Address and port to listen on. */
export const LISTEN_ADDRESS: Rule<string> = {
  expected: 'IP or IP:port with a port from 1 to 65535, such as 0.0.0.0:10256 or [::]:10256',
  keeps: (value) => parseListenAddress(value) !== undefined,
};

/** A list of CIDRs. */
export const CIDRS: Rule<readonly string[]> = {
  expected: 'CIDRs such as 10.0.0.0/8',
  keeps: (values) => values.every((value) => parseSloppyCidr(value) !== undefined),
};
