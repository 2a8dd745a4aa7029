-- Orders on the day they were placed, returns on the day they came back.
SELECT d.country || ' ' || d.day AS country_day,
       d.country,
       d.day::text AS day,
       sum(d.orders)::bigint AS orders,
       sum(d.pieces)::bigint AS pieces,
       sum(d.revenue_pence)::bigint AS revenue_pence,
       sum(d.refunded_pence)::bigint AS refunded_pence
  FROM (SELECT o.country, (o.placed_at AT TIME ZONE 'UTC')::date AS day,
               count(DISTINCT o.order_id) AS orders, sum(l.quantity) AS pieces,
               sum(l.quantity * l.unit_price_pence) AS revenue_pence, 0 AS refunded_pence
          FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
         GROUP BY 1, 2
         UNION ALL
        SELECT r.country, (r.returned_at AT TIME ZONE 'UTC')::date, 0, 0, 0, r.refund_pence
          FROM returns AS r) AS d
 GROUP BY d.country, d.day
