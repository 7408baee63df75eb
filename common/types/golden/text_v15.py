# Makes common/types/golden/text_v15.tsv from a PostgreSQL 15: type, input, what it answers.
import subprocess,random
random.seed(1)
T={}
T['smallint']=['0','-32768','32767','32768',' 12 ','+5','','x','1.5','12x','-','٣','99999999999999999999']
T['integer']=['0','-2147483648','2147483647','2147483648','99999999999','x','  7\t','0012','1e3','--1','1 2']
T['bigint']=['9223372036854775807','9223372036854775808','-9223372036854775808','-9223372036854775809','abc','']
T['oid']=['0','4294967295','4294967296','-1','x','']
T['boolean']=['t','true','TRUE','tr','f','fal','yes','y','no','n','on','of','off','o','1','0','2','',' t ','truex']
T['real']=['0','-0','1.5','1e10','123456','1234567','1000000','0.0001','0.00001','1e-45','1e39','1e-50','NaN','Infinity','-inf','nan','x','3.4028235e38','16777216','0.1','1e','.5','5.','','  1  ']
T['double precision']=['0','-0','1.5','1e15','123456789012345','1234567890123456','1e14','0.0001','0.00001','1e308','1e309','-1e309','5e-324','1e-400','NaN','infinity','-Infinity','x','0.1','0.30000000000000004','1e22','1e23','123456.789','2.2250738585072014e-308','1 2','e5','.','100000','1e5','9007199254740993','1.7976931348623157e308']
T['numeric']=['0','-0','0.00','1','1.50','-12.345','1e10','1e-10','1.5e3','1.5e-3','.5','5.','.','','x','NaN','nan','Infinity','-infinity','inf','+inf','1e','1e+','1e131071','1e131072','1e-16383','1e-16384','0e-20000','12345678901234567890123456789012345678901234567890','0.000000000000000000000000000000000000000000000001','  1.0  ','1 2','+1','-1.','1_0','0x1','1e99999999999','170141183460469231731687303715884105727','170141183460469231731687303715884105728','-170141183460469231731687303715884105728','1.e5','00012.00']
T['numeric(5,2)']=['1','1.005','999.99','999.995','-999.994','-1000','1e2','NaN','Infinity','0.001']
T['numeric(3,0)']=['999.4','999.5','12']
T['numeric(2,4)']=['0.0123','0.00995','0.01','1']
T['numeric(3,-2)']=['12345','99949','99950','49','50']
T['numeric(3,3)']=['0.9994','0.9995','1']
T['text']=['a','', ' x ']
T['character varying(3)']=['abc','abcd','abc  ','äöü','äöüx','']
T['character(4)']=['a','abcd','abcde','abcd  ','ä','']
T['"char"']=['a','','abc']
T['name']=['a','x'*70,'ä'*40]
T['bytea']=['\\x','\\x0aFF','\\x0a ff','\\x0','\\xzz','abc','a\\\\b','a\\000b','a\\b','\\400']
T['uuid']=['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11','A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11','{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}','a0eebc999c0b4ef8bb6d6bb9bd380a11','a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1','x','','{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11','a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11']
T['date']=['2024-01-31','2024-02-30','2024-13-01','2024-02-29','2023-02-29','0000-01-01','0001-01-01','0044-03-15 BC','2024-1-5','01/02/2003','13/02/2003','1/2/03','1/2/99','Jan 5 2024','January 5, 2024','5 Jan 2024','5-Jan-2024','Jan-05-2024','2024-Jan-05','20240105','240105','J2451187','infinity','-infinity','epoch','2024-01-05 10:11:12','2024-01-05T10:11:12Z','x','','4714-11-24 BC','4714-11-23 BC','5874897-12-31','5874898-01-01','2024-01-32','99999999-01-01','2024.01.05','Mon Jan 5 2024','2024-01','2024','1999-12-31 AD','sep 3 2001','sept 3 2001','Friday 2001-08-03','2024/01/05','2024 Jan 5','05 2024 Jan','1-1-1','2024-001','2024.123','2024-366','today x','10:00','Jan 5','4 July','2024-01-05 25:00:00','2024-01-05 BC','12345-06-07','2001-2-30','31 Feb 2001', '2024-00-10','2024-10-00']
T['time']=['04:05:06','04:05','040506','0405','04:05:06.789','04:05:06.1234567','24:00:00','24:00:01','25:00','04:60','04:05:60','04:05 PM','12:00 AM','12:00 PM','13:00 PM','allballs','04:05:06+02','04:05:06 America/New_York','x','','2024-01-01 04:05:06','T040506','T04:05:06','04:05:06.','4:5:6','23:59:59.9999999','1','12','123','12345','noon','04.05.06']
T['timestamp']=['2024-01-31 12:34:56','2024-01-31 12:34:56.789','2024-01-31 12:34:56.123456','2024-01-31 12:34:56.1234567','2024-01-31','2024-01-31T12:34:56','2024-01-31T12:34:56Z','2024-01-31 12:34:56+02','20240131T123456','20240131 123456','Jan 31 2024 12:34 PM','Wed Jan 31 12:34:56 2024','31 Jan 2024 12:34:56.5','infinity','-infinity','epoch','294276-12-31 23:59:59.999999','294277-01-01','4714-11-24 00:00:00 BC','4714-11-23 23:59:59 BC','2024-01-31 24:00:00','2024-01-31 24:00:01','2024-01-31 23:59:60','2024-02-30 00:00','x','','12:00','2024-01-31 12:34:56 BC','0001-01-01 00:00:00','2024-01-31 12','2024-01-31 12:34:56 America/New_York','2024-01-31 12:34:56 PST','2024-01-31 12:34:56 foo','2024-01-31  12:34:56 ','2024-01-31 123456','2024-01-31 123456.789','1/31/2024 1:02','J2451187 04:05','2024-01-31 12:34:56-08:30','2024-01-31 12:34:56+0830','2024-01-31 12:34:56+16','infinity 2024','2024-01-31 2024-01-31','2024-01-31t12:34:56','2000-01-01 00:00:00.0000005','2000-01-01 00:00:00.0000015','1999-12-31 23:59:59.9999996']
T['timestamp(0)']=['2024-01-31 12:34:56.5','2024-01-31 12:34:56.499999','1999-01-01 00:00:00.5']
T['timestamp(3)']=['2024-01-31 12:34:56.7895','infinity']
T['time(2)']=['04:05:06.785','23:59:59.999']
T['timestamp with time zone']=['2024-01-31 12:34:56','2024-07-31 12:34:56','2024-01-31 12:34:56+02','2024-01-31 12:34:56 UTC','2024-07-31 12:34:56 America/New_York','2024-03-10 02:30:00','2024-11-03 01:30:00','2024-11-03 01:30:00-04','1800-01-01 00:00:00','infinity','-infinity','epoch','2024-01-31','2024-01-31 12:34:56 PST','2024-01-31 12:34:56 EDT','2024-01-31 12:34:56 foo','2024-01-31 12:34:56+99','2024-01-31T12:34:56.789Z','2024-01-31 allballs','20000-07-01 00:00:00','294276-12-31 23:59:59+00','294277-01-01 00:00:00+00','4714-11-24 00:00:00+00 BC','x','0044-03-15 12:00 BC']
T['interval']=['1 day','1 year 2 mons 3 days 04:05:06','1-2','1-2 3 4:05:06','-1 day','-1 day +02:03','1 day ago','@ 1 hour ago','P1Y2M3DT4H5M6S','P1Y','PT1.5S','PT36H','P0001-02-03T04:05:06','1.5 days','1.5 months','1.5 years','1.5 weeks','0','','x','1','1.5','1:02','1:02:03.5','1:2.5','12:34:56.789','100 years','1 century','1 millennium 1 decade','2 weeks','1 microsecond','1500 ms','-1-2','+1-2','1 mon -1 day','3 days -04:05:06','2147483647 months','2147483648 months','9223372036854775807 us','1e3 days','1 foo','1 day 1 day','04:60','04:05:61','P','PT','1 h 2 m 3 s','1h2m3s','1d','1 day 2','1 day 2:03','-1:00','-00:00:01','1.123456789 s','0.5 us','1 year 13 months','365 days','1 mon 32 days 25:00','178956970 years','178956971 years','-178956970 years -8 mons','1 day 12 hours ago','1.5 hours','0.1 days','0.7 months','P1W','P1.5M','-P1D','P-1D','P1Y-2M','1 day, 2 hours','infinity']
T['interval(2)']=['1.2345 s']
T['interval year to month']=['1-2','3','1 year 3 days','15 mons']
T['interval day to second']=['1 2:03:04','5','1 mon 2 days']
T['interval hour to minute']=['1:02','1:02:03','5']
T['interval minute to second']=['1:02','5']
T['interval day']=['5','1 day 3 hours']
T['integer[]']=['{}','{1,2,3}','{1,NULL,3}','{{1,2},{3,4}}','{{1,2},{3}}','{1,{2}}','[0:1]={1,2}','[2:3][1:1]={{1},{2}}','[0:1]={1}','{1,2','1,2}','{1,2}x','{1,,2}','{1,}','{,1}','{x}',' { 1 , 2 } ','{{}}','{{},{}}','{{1},{}}','','[1:0]={}','[1]={5}','[1:2={1,2}','{{{{{{{1}}}}}}}','{ }','{NULL}','{null}','{"1"}','{1 2}']
T['text[]']=['{a,b}','{"a b",c}','{"a\\"b"}','{a\\,b}','{NULL,"NULL",null}','{""}','{ a , b }','{"a" b}','{a"b}','{a{b}','{\\\\}','{"\\\\"}','{a b}','{ä}','{"{}"}','{" a "}','{a\\ }']
T['character(3)[]']=['{a,bcd}','{abcd}']
T['numeric(4,1)[]']=['{1.25,NULL}','{12345}']
T['timestamp[]']=['{2024-01-01 00:00:00,"2024-01-02 00:00:00"}']
T['bytea[]']=['{"\\\\x01"}']
T['int2vector']=['1 2 3','','x']
T['oidvector']=['1 2',' 3 ']
lines=[]
setup="set timezone='America/New_York'; set datestyle='ISO, MDY'; create or replace function pg_temp.try(ty text, v text) returns text language plpgsql as $$ declare r text; st text; msg text; det text; hint text; begin execute format('select format(''%%s'', %L::%s)', v, ty) into r; return 'ok'||E'\\x01'||r; exception when others then get stacked diagnostics st=returned_sqlstate, msg=message_text, det=pg_exception_detail, hint=pg_exception_hint; return st||E'\\x01'||msg||E'\\x01'||det||E'\\x01'||hint; end $$;"
def q(s): return "'"+s.replace("'","''")+"'"
cases=[(t,v) for t,vs in T.items() for v in vs]
# a literal cast cuts varchar silently, so assignment is asked through a column of the type
setup2="".join(f"create temp table c{i} (v {t});" for i,t in enumerate(T))
idx={t:i for i,t in enumerate(T)}
setup="set timezone='America/New_York'; set datestyle='ISO, MDY'; set standard_conforming_strings=on; "+setup2+"create or replace function pg_temp.try(i int, v text) returns text language plpgsql as $$ declare r text; st text; msg text; det text; hint text; begin execute format('copy c%s from program ''cat /dev/null''', i); execute format('delete from c%s', i); execute format('insert into c%s values (%L)', i, v); execute format('select format(''%%s'', v) from c%s', i) into r; return 'ok'||E'\\x01'||r; exception when others then get stacked diagnostics st=returned_sqlstate, msg=message_text, det=pg_exception_detail, hint=pg_exception_hint; return st||E'\\x01'||msg||E'\\x01'||det||E'\\x01'||hint; end $$;"
sql=setup+"".join(f"select pg_temp.try({idx[t]},{q(v)});" for t,v in cases)
sql=sql.replace(" execute format('copy c%s from program ''cat /dev/null''', i);","")
open('q.sql','w').write(sql.replace(';select',';\nselect'))
out=subprocess.run(['psql','-h','127.0.0.1','-p','15601','-U','postgres','postgres','-Atq0','-f','q.sql'],capture_output=True,text=True)
if out.stderr: print(out.stderr[:500])
res=out.stdout.split('\0')
if res and res[-1]=='': res.pop()
assert len(res)==len(cases),(len(res),len(cases))
def esc(s): return s.replace('\\','\\\\').replace('\t','\\t').replace('\n','\\n').replace('\x01','\t')
with open('text_v15.tsv','w') as f:
    f.write("# What a PostgreSQL 15 makes of texts stored into columns: type, text, then `ok` and the text it gives back,\n# or SQLSTATE, message, detail and hint. TimeZone America/New_York, DateStyle ISO, MDY. Made by golden/text_v15.py.\n")
    for (t,v),r in zip(cases,res): f.write(f"{esc(t)}\t{esc(v)}\t{esc(r)}\n")
print(len(cases))
