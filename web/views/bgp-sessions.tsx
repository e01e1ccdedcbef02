// The BGP sessions of one node.
import { type JSX } from 'preact'
import { type BgpPeersReport } from '#/api/schemas/bgp.ts'
import { Ago, Told } from '../parts/basics.tsx'

export function Sessions({
  report: { silentBecause, drainedBecause, portTroubles, peers, asn },
}: {
  report: BgpPeersReport
}): JSX.Element {
  if (silentBecause !== undefined) return <p class="soft">It speaks no BGP: {silentBecause}</p>
  return (
    <>
      {drainedBecause !== undefined && <p>It tells nobody of its pod CIDRs: {drainedBecause}</p>}
      {portTroubles?.map((text) => (
        <p>{text}</p>
      ))}
      <div class="scroll">
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Neighbour</th>
              <th scope="col">Session</th>
              <th scope="col" class="number wide">
                AS
              </th>
              <th scope="col" class="number">
                Routes received, used
              </th>
              <th scope="col" class="number wide">
                Told
              </th>
              <th scope="col" class="wide">
                BFD
              </th>
            </tr>
          </thead>
          <tbody>
            {peers.map(
              ({ name, addr, state, sinceMs, remoteAsn, received, accepted, advertised, bfd, lastError, pause }) => (
                <tr key={name}>
                  <th scope="row">
                    {name}
                    {addr !== undefined && addr !== name && <span class="addr">{addr}</span>}
                  </th>
                  <td>
                    <Told tone={state === 'Established' ? 'good' : 'bad'}>
                      {state}{' '}
                      <span class="soft">
                        for <Ago ms={sinceMs} />
                      </span>
                    </Told>
                    {state !== 'Established' && lastError !== undefined && <p class="words-of">{lastError}</p>}
                    {pause !== undefined && <p class="soft">No session is tried for now.</p>}
                  </td>
                  <td class="number wide">{remoteAsn ?? asn}</td>
                  <td class="number">
                    {received}, {accepted}
                  </td>
                  <td class="number wide">{advertised}</td>
                  <td class="wide">{bfd}</td>
                </tr>
              ),
            )}
          </tbody>
        </table>
      </div>
    </>
  )
}
