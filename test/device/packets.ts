/** Packets for tests of devices, written and read apart from the code under test. */

export interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly text: Uint8Array;
}

/** RFC 1071 over a whole number of pieces, the slow and plain way. 0 for octets whose checksum is right. */
export function checksum(...pieces: Uint8Array[]): number {
  const all = Buffer.concat(pieces);
  let sum = 0;
  for (let i = 0; i < all.length; i += 2) sum += ((all[i] as number) << 8) + (all[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function pseudo(packet: Uint8Array, protocol: number): Uint8Array {
  const length = packet.length - 20;
  return Uint8Array.from([...packet.subarray(12, 20), 0, protocol, length >> 8, length & 255]);
}

/** Whether IP and transport checksum of an IPv4 packet are right. */
export function isSound(packet: Uint8Array): boolean {
  return checksum(packet.subarray(0, 20)) === 0 && checksum(pseudo(packet, packet[9] as number), packet.subarray(20)) === 0;
}

function ip(protocol: number, source: string, destination: string, body: Uint8Array, id = 1): Buffer {
  const packet = Buffer.alloc(20 + body.length);
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(id, 4);
  packet[6] = 0x40;
  packet[8] = 64;
  packet[9] = protocol;
  packet.set(source.split(".").map(Number), 12);
  packet.set(destination.split(".").map(Number), 16);
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
  packet.set(body, 20);
  return packet;
}

/** An IPv4 UDP datagram with right checksums. */
export function datagram(from: Packet): Uint8Array {
  const body = Buffer.alloc(8 + from.text.length);
  body.writeUInt16BE(from.sourcePort, 0);
  body.writeUInt16BE(from.destinationPort, 2);
  body.writeUInt16BE(body.length, 4);
  body.set(from.text, 8);
  const packet = ip(17, from.source, from.destination, body);
  packet.writeUInt16BE(checksum(pseudo(packet, 17), packet.subarray(20)) || 0xffff, 26);
  return packet;
}

/** Reads what {@link datagram} writes; undefined for anything else. */
export function readDatagram(packet: Uint8Array): Packet | undefined {
  const view = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  if (packet.length < 28 || view[0] !== 0x45 || view[9] !== 17) return undefined;
  return {
    source: view.subarray(12, 16).join("."),
    destination: view.subarray(16, 20).join("."),
    sourcePort: view.readUInt16BE(20),
    destinationPort: view.readUInt16BE(22),
    text: packet.slice(28),
  };
}

export interface TcpPacket {
  readonly sequence: number;
  readonly flags: number;
  readonly text: Uint8Array;
  readonly id?: number;
}

/** An IPv4 TCP packet with 12 octets of timestamp option (header 52 in all) and right checksums. */
export function tcpPacket(from: TcpPacket, source = "10.77.0.2", destination = "10.77.0.1"): Uint8Array {
  const body = Buffer.alloc(32 + from.text.length);
  body.writeUInt16BE(80, 0);
  body.writeUInt16BE(50_000, 2);
  body.writeUInt32BE(from.sequence >>> 0, 4);
  body.writeUInt32BE(7, 8);
  body[12] = 0x80;
  body[13] = from.flags;
  body.writeUInt16BE(1000, 14);
  body.set([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], 20);
  body.set(from.text, 32);
  const packet = ip(6, source, destination, body, from.id ?? 1);
  packet.writeUInt16BE(checksum(pseudo(packet, 6), packet.subarray(20)), 36);
  return packet;
}
