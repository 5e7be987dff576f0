import { Trans, useLingui } from "@lingui/react/macro";
import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { look, stageLooks } from "../logic/status";
import { formatDuration } from "../logic/time";
import type { Picture } from "../logic/traffic-history";
import { ticks } from "../logic/waterfall";
import { toneSoft, toneText } from "../ui/status";

/** The share of the new version over the time of a deployment: filled as it was seen, dashed as it was wished, its stages below. */
export function TrafficPicture({ picture: p, d }: { picture: Picture; d: Deployment }) {
  const { t, i18n } = useLingui();
  const span = p.to - p.from;
  const x = (ms: number) => ((ms - p.from) / span) * 100;
  const last = p.observed[p.observed.length - 1];
  const share = Math.round(last?.percent ?? 0);
  const fresh = d.plan?.versions.map((v) => v.version).join(", ") ?? "";
  return (
    <figure className="space-y-1">
      <div className="flex gap-2">
        <div aria-hidden className="text-muted flex h-40 w-10 shrink-0 flex-col justify-between py-px text-right text-xs leading-none tabular-nums">
          <span>100 %</span>
          <span>50</span>
          <span>0</span>
        </div>
        <div className="min-w-0 flex-1">
          <svg
            role="img"
            aria-label={t`Share of requests on ${fresh} over time, ${share} % at last`}
            viewBox="0 0 100 100"
            preserveAspectRatio="none"
            className="bg-sunken border-line block h-40 w-full border-b"
          >
            {p.observed.map((o) => (
              <g key={o.from}>
                <rect x={x(o.from)} y={0} width={x(o.to) - x(o.from)} height={100} className="fill-old" opacity={0.55} />
                <rect x={x(o.from)} y={100 - o.percent} width={x(o.to) - x(o.from)} height={o.percent} className="fill-new" />
              </g>
            ))}
            <line x1={0} x2={100} y1={50} y2={50} className="stroke-panel" vectorEffect="non-scaling-stroke" opacity={0.6} />
            {p.bands.slice(1).map((b) => (
              <line key={b.stageId} x1={x(b.from)} x2={x(b.from)} y1={0} y2={100} className="stroke-panel" vectorEffect="non-scaling-stroke" opacity={0.6} />
            ))}
            {p.wished.map((w) =>
              w.low === w.high ? null : (
                <rect key={`b${w.from}`} x={x(w.from)} y={100 - w.high} width={x(w.to) - x(w.from)} height={w.high - w.low} className="fill-fg" opacity={0.1} />
              ),
            )}
            <path d={wishedPath(p, x)} fill="none" className="stroke-fg" strokeWidth={2} strokeDasharray="5 4" vectorEffect="non-scaling-stroke" />
          </svg>
          <ol aria-label={t`Stages on the axis of time`} className="relative mt-1 h-5">
            {p.bands.map((b, i) => {
              const l = look(stageLooks, b.word);
              return (
                <li
                  key={b.stageId}
                  title={`${b.name}: ${i18n._(l.label)}, ${formatDuration(b.to - b.from, i18n.locale)}`}
                  className={`absolute top-0 h-5 min-w-0.5 overflow-hidden rounded-sm border-l-2 px-1 text-xs leading-5 whitespace-nowrap ${b.rollback ? "border-warn bg-warn-soft text-warn" : `border-current ${toneSoft[l.tone]} ${toneText[l.tone]}`}`}
                  style={{ left: `${x(b.from)}%`, width: `calc(${Math.min(100, x(b.to)) - x(b.from)}% - 2px)` }}
                >
                  {b.rollback ? "↩ " : `${i + 1} `}
                  {b.name}
                </li>
              );
            })}
          </ol>
          <div aria-hidden className="text-muted relative mt-0.5 h-4 text-xs leading-4 tabular-nums">
            {ticks(span, 6).map((ms) => (
              <span key={ms} className={`absolute whitespace-nowrap ${ms > 0 ? "-translate-x-1/2" : ""} ${ms / span > 0.94 ? "hidden" : ""}`} style={{ left: `${(ms / span) * 100}%` }}>
                {ms === 0 ? "0" : formatDuration(ms, i18n.locale)}
              </span>
            ))}
          </div>
        </div>
      </div>
      <figcaption className="text-muted flex flex-wrap gap-x-4 gap-y-1 pl-12 text-xs">
        <span className="inline-flex items-center gap-1.5">
          <span aria-hidden className="bg-new inline-block h-2.5 w-4 rounded-sm" />
          <Trans>new version, measured</Trans>
        </span>
        <span className="inline-flex items-center gap-1.5">
          <span aria-hidden className="bg-old inline-block h-2.5 w-4 rounded-sm" />
          <Trans>version before</Trans>
        </span>
        <span className="inline-flex items-center gap-1.5">
          <span aria-hidden className="border-fg inline-block w-4 border-t-2 border-dashed" />
          <Trans>new version, wished</Trans>
        </span>
        {p.gaps && (
          <span>
            <Trans>Where the ground is empty nobody looked, or it is not kept any more.</Trans>
          </span>
        )}
      </figcaption>
    </figure>
  );
}

/** Wished shares as steps; a stage that moves them goes from one to the other. */
function wishedPath(p: Picture, x: (ms: number) => number): string {
  let level: number | undefined;
  return p.wished
    .map((w) => {
      const rising = level === undefined || level <= w.low;
      const [from, to] = rising ? [w.low, w.high] : [w.high, w.low];
      const begin = level === undefined ? `M${x(w.from)} ${100 - from}` : `L${x(w.from)} ${100 - from}`;
      level = to;
      return `${begin}L${x(w.to)} ${100 - to}`;
    })
    .join("");
}
