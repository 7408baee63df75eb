# Makes numeric_v15.tsv from a PostgreSQL 15 on port 15601: operation, operands, what it answers.
import subprocess, random
random.seed(7)
def rnd(maxint=20,maxfrac=12):
    a=random.choice([0,1,2,4,8,9,16,maxint]); b=random.choice([0,0,1,2,4,5,maxfrac])
    s=''.join(random.choice('0123456789') for _ in range(max(a,1)))
    if random.random()<.2: s='0'
    if random.random()<.2: s='9'*max(a,1)
    if b: s+='.'+''.join(random.choice('0123456789' if random.random()<.7 else '09') for _ in range(b))
    return ('-' if random.random()<.35 else '')+s
special=['0','0.00','1','-1','NaN','Infinity','-Infinity','0.5','-0.5','1e-16','99999999999999999999999999999999999999','123456789012345678901234567890.123456789','1e40','10000','9999.9999']
binary={'+':'{}+{}','-':'{}-{}','*':'{}*{}','/':'{}/{}','%':'{}%{}','div':'div({},{})','cmp':'({0}<{1})::int-({0}>{1})::int'}
cases=[]
for op in binary:
    for a in special:
        for b in random.sample(special,5): cases.append((op,a,b))
    for _ in range(110): cases.append((op,rnd(),rnd()))
    for _ in range(25): cases.append((op,rnd(60,40),rnd(45,30)))
unary={'abs':'abs({})','neg':'-({}::numeric)','sign':'sign({})','ceil':'ceil({})','floor':'floor({})','sqrt':'sqrt({})','exp':'exp({})','ln':'ln({})','log10':'log({})','int2':'{}::int2','int4':'{}::int4','int8':'{}::int8','float8':'{}::float8','float4':'{}::float4','trim_scale':'trim_scale({})','min_scale':'min_scale({})'}
for op in unary:
    for a in special: cases.append((op,a,''))
    for _ in range(40):
        v=rnd(6,8) if op in('exp',) else rnd()
        if op=='exp': v=v[:7].rstrip('.') or '1'
        if op in('ln','log10','sqrt'): v=v.lstrip('-') if random.random()<.9 else v
        cases.append((op,v,''))
for v in ['1.0000000000000001','0.9999999999','1.1','0.9','0.89','1.11','2','10','1e100','1e-100','3.14159265358979323846','123456789.123456789','0.000001','5999','-5999','6000','-6000','1.05','0.99999999999999999999999']:
    for op in ('exp','ln','log10','sqrt'): cases.append((op,v,''))
for op in ('round','trunc'):
    for a in special+[rnd() for _ in range(30)]:
        for n in random.sample([-40,-3,-1,0,1,2,5,20],3): cases.append((op,a,str(n)))
for _ in range(60): cases.append(('power',rnd(3,3),random.choice(['0','1','-1','2','3','-3','10','-10','0.5','1.5','-0.5','2.25','100','33','-7','0.001'])))
for a in ['0','1','-1','2','-2','0.5','NaN','Infinity','-Infinity','1.0001','10','1e10','0.1','1.23456789012345678901']:
    for b in ['0','1','-1','2','3','0.5','-0.5','NaN','Infinity','-Infinity','100','-100','1000','2147483648','0.3333333333333333']: cases.append(('power',a,b))
for _ in range(40): cases.append(('log',rnd(5,4).lstrip('-'),rnd(3,4).lstrip('-')))
for a in ['2','10','1','0','-1','NaN','Infinity']:
    for b in ['2','10','1','0','-1','NaN','Infinity','8','1024','0.001']: cases.append(('log',b,a))
for v in ['0','1','-1','0.1','1e15','123456789012345678','1e-7','1.5','100','1e300','3.141592653589793','NaN','Infinity','-Infinity','1e22','0.3','99999999999999.95']:
    cases.append(('from_float8',v,'')); 
    if v not in('1e300',): cases.append(('from_float4',v,''))
T=dict(binary); T.update(unary); T['round']='round({},{n})'; T['trunc']='trunc({},{n})'; T['power']='power({},{})'; T['log']='log({1},{0})'
T['from_float8']="'{v}'::float8::numeric"; T['from_float4']="'{v}'::float4::numeric"
sql="create or replace function pg_temp.try(q text) returns text language plpgsql as $$ declare r text; begin execute q into r; return 'ok'||E'\\t'||r; exception when others then return sqlstate||E'\\t'||sqlerrm; end $$;\n"
for op,a,b in cases:
    e=T[op].format(f"'{a}'::numeric",f"'{b}'::numeric",n=b,v=a)
    sql+="select pg_temp.try($q$select ("+e+")::text$q$);\n"
open('n.sql','w').write(sql)
out=subprocess.run(['psql','-h','127.0.0.1','-p','15601','-U','postgres','postgres','-Atq','-f','n.sql'],capture_output=True,text=True)
print(out.stderr[:300])
res=out.stdout.rstrip('\n').split('\n')
assert len(res)==len(cases),(len(res),len(cases))
seen=set()
with open('numeric_v15.tsv','w') as f:
    f.write("# What a PostgreSQL 15 answers: operation, operands, then `ok` and the result, or SQLSTATE and message.\n# Made by golden/numeric_v15.py.\n")
    for c,r in zip(cases,res):
        l='\t'.join(c)+'\t'+r
        if l not in seen: f.write(l+'\n'); seen.add(l)
print(len(seen))
