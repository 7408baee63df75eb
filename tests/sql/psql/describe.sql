-- What psql asks the catalog for.
create table pt (id int primary key, v text not null default 'q', n numeric(5,2) check (n > 0));
create table pu (a int unique, b int);
\dt
\d
-- differs: expressions are shown as they were written; no ALTER COLUMN TYPE
\d pt
-- differs: expressions are shown as they were written; no ALTER COLUMN TYPE
\d+ pt
\d nope
\dn
\dn+
\du
\du+
\dg
\df abs
-- differs: built-in functions have no comments
\df+ abs
\di
\dv
\ds
\dm
\dp
\z
\db
-- differs: no procedural language
\dx
-- differs: built-in functions have no comments
\da sum
\dD
\dE
\ddp
\des
\det
\deu
\dew
-- differs: no procedural language
\dL
\dy
\dX
\dRp
\dRs
\dPt
\drds
\encoding
\dA
drop table pt;
drop table pu;
