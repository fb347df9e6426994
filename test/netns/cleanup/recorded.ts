/** What a real kube-proxy 1.36.2 left (test/fixtures/kube-proxy-1.36), to be loaded into a namespace of one's own. */
import { readFileSync } from 'node:fs';
import { shell } from '../kernel/helpers.ts';

const fixtures = new URL('../../fixtures/kube-proxy-1.36/', import.meta.url);

/** The implementations of iptables. */
export type Variant = 'nft' | 'legacy';

/** A recorded file. */
export function recorded(name: string): string {
  return readFileSync(new URL(name, fixtures), 'utf8');
}

/** Loads the rules of iptables mode, both families, behind what is there. */
export function loadIptablesMode(variant: Variant): void {
  for (const tool of ['iptables', 'ip6tables']) {
    // The objects that these rules count in would have to be made before.
    const rules = recorded(`${tool}-save.txt`).replaceAll(/ -m nfacct --nfacct-name +\S+/g, '');
    shell(`${tool}-${variant}-restore --noflush`, rules);
  }
}

/** Loads the tables of nftables mode, both families. */
export function loadNftablesMode(): void {
  for (const family of ['ip', 'ip6']) shell('nft -f -', recorded(`nft-list-${family}.txt`));
}

/** Loads the sets, rules, link and virtual servers of ipvs mode, both families, for iptables-legacy. */
export function loadIpvsMode(): void {
  const sets = recorded('ipvs-ipset.txt');
  shell('ipset restore', sets);
  for (const tool of ['iptables', 'ip6tables']) {
    shell(`${tool}-legacy-restore --noflush`, recorded(`ipvs-${tool}.txt`));
  }
  shell('ip link add kube-ipvs0 type dummy');
  for (const [, address] of sets.matchAll(/^add KUBE-(?:6-)?IPVS-IPS (\S+)$/gm)) {
    shell(`ip addr add ${address} dev kube-ipvs0`);
  }
  shell('ipvsadm -R', recorded('ipvs-ipvsadm.txt'));
}
