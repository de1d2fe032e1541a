-- Since when a worker starts nothing more: it ends once what it runs has.
ALTER TABLE worker ADD COLUMN draining_at REAL;
