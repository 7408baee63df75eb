# Makes datetime_v15.tsv from a PostgreSQL 15 on port 15601: operation, operands, what it answers. TimeZone America/New_York.
import subprocess, random
random.seed(3)
ts=['2024-01-31 12:34:56.789','2024-02-29 00:00:00','2000-01-01 00:00:00','1999-12-31 23:59:59.999999','0001-01-01 00:00:00','0044-03-15 10:00:00 BC','2024-03-10 01:30:00','2024-11-03 01:30:00','2021-01-03 05:00:00','294276-12-31 23:59:59','4714-11-24 00:00:00 BC','infinity','-infinity','1900-06-15 12:00:00','2101-12-31 00:00:00.5']
da=['2024-01-31','2024-02-29','2000-01-01','0001-12-31','0044-03-15 BC','5874897-12-31','4714-11-24 BC','infinity','-infinity','2026-01-01','294277-01-01']
iv=['1 mon','-1 mon','1 day','1 year 2 mons 3 days 04:05:06.789','13 mons','-25:30:00','30 days','1.5 days','100 years','-1 year','00:00:00.000001','1 mon -1 day','-3 days 26:00:00','35 days -50:00:00','0','178956970 years','-40 days 100:00:00']
ti=['00:00:00','12:34:56.789','24:00:00','23:59:59.999999']
parts=['microseconds','milliseconds','second','minute','hour','day','week','month','quarter','year','decade','century','millennium','julian','isoyear','dow','isodow','doy','epoch','timezone','timezone_hour','timezone_minute','foo']
c=[]
for p in parts:
    for ty,vs in (('timestamp',ts),('timestamptz',ts),('date',da),('interval',iv),('time',ti)):
        for v in random.sample(vs,min(5,len(vs))): c.append((f'extract_{ty}',p,v,f"extract({p} from {ty} '{v}')"))
    for ty,vs in (('timestamp',ts),('timestamptz',ts),('interval',iv)):
        for v in random.sample(vs,5): c.append((f'trunc_{ty}',p,v,f"date_trunc('{p}',{ty} '{v}')"))
for t in ts:
    for i in iv:
        if random.random()<.6: c.append(('timestamp+interval',t,i,f"timestamp '{t}' + interval '{i}'"))
        if random.random()<.3: c.append(('timestamp-interval',t,i,f"timestamp '{t}' - interval '{i}'"))
        if random.random()<.6: c.append(('timestamptz+interval',t,i,f"timestamptz '{t}' + interval '{i}'"))
    for u in random.sample(ts,5): c.append(('timestamp-timestamp',t,u,f"timestamp '{t}' - timestamp '{u}'"))
    c.append(('timestamp::date',t,'',f"(timestamp '{t}')::date")); c.append(('timestamptz::date',t,'',f"(timestamptz '{t}')::date"))
    c.append(('timestamp::timestamptz',t,'',f"(timestamp '{t}')::timestamptz")); c.append(('timestamptz::timestamp',t,'',f"(timestamptz '{t}')::timestamp"))
for d in da:
    c.append(('date::timestamp',d,'',f"(date '{d}')::timestamp")); c.append(('date::timestamptz',d,'',f"(date '{d}')::timestamptz"))
    for n in [1,-1,365,-365,2147483647]: c.append(('date+int',d,str(n),f"date '{d}' + {n}"))
    for e in random.sample(da,4): c.append(('date-date',d,e,f"date '{d}' - date '{e}'"))
    for t in ti: c.append(('date+time',d,t,f"date '{d}' + time '{t}'"))
for t in ti:
    for i in iv: c.append(('time+interval',t,i,f"time '{t}' + interval '{i}'"))
    for u in ti: c.append(('time-time',t,u,f"time '{t}' - time '{u}'"))
for i in iv:
    for f in ['2','0.5','-1.5','0.1','1e10','0','3.3333333']: 
        c.append(('interval*',i,f,f"interval '{i}' * {f}::float8")); c.append(('interval/',i,f,f"interval '{i}' / {f}::float8"))
    for j in random.sample(iv,4): c.append(('interval+',i,j,f"interval '{i}' + interval '{j}'")); c.append(('interval-',i,j,f"interval '{i}' - interval '{j}'"))
    for f in ('justify_hours','justify_days','justify_interval'): c.append((f,i,'',f"{f}(interval '{i}')"))
    c.append(('interval::time',i,'',f"(interval '{i}')::time"))
sql="set timezone='America/New_York'; create or replace function pg_temp.try(q text) returns text language plpgsql as $$ declare r text; begin execute q into r; return 'ok'||E'\\t'||coalesce(r,'NULL'); exception when others then return sqlstate||E'\\t'||sqlerrm; end $$;\n"
for x in c: sql+="select pg_temp.try($q$select ("+x[3]+")::text$q$);\n"
open('d.sql','w').write(sql)
out=subprocess.run(['psql','-h','127.0.0.1','-p','15601','-U','postgres','postgres','-Atq','-f','d.sql'],capture_output=True,text=True)
print(out.stderr[:300])
res=out.stdout.rstrip('\n').split('\n')
assert len(res)==len(c),(len(res),len(c))
with open('datetime_v15.tsv','w') as f:
    f.write("# What a PostgreSQL 15 answers in America/New_York: operation, operands, then `ok` and the result, or SQLSTATE and message.\n# Made by golden/datetime_v15.py.\n")
    for x,r in zip(c,res): f.write('\t'.join(x[:3])+'\t'+r+'\n')
print(len(c))
