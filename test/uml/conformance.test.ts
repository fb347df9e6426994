/** Every behaviour of the proxy over the planes of a kernel that has IPVS: the suite of test/netns, in that kernel. */
import '../netns/conformance/conformance.test.ts';
